"""Bothways: hybrid search on your own Elasticsearch. Programs import `Client` or `AsyncClient`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["AsyncClient", "Client"]

__version__ = "0.1.0"

if TYPE_CHECKING:
    from bothways.client import AsyncClient, Client
else:

    def __getattr__(name: str) -> object:
        # At the first use (PEP 562): the server's modules are in this package, too, and most need no HTTP client.
        if name in __all__:
            return getattr(import_module("bothways.client"), name)
        raise AttributeError(f"module 'bothways' has no attribute {name!r}")
