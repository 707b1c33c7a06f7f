"""The typed client of a Bothways server, with and without an event loop; httpx and pydantic are behind it.

from bothways import Client

with Client("http://127.0.0.1:8000", api_key="…") as client:
for hit in client.search("路上有人晕倒我不救会怎样？", "law", top_k=3).hits:
print(hit.rank, hit.title, hit.text)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["AsyncClient", "Client"]

if TYPE_CHECKING:
    from bothways.client.async_client import AsyncClient
    from bothways.client.blocking import Client
else:

    def __getattr__(name: str) -> object:
        # At the first use (PEP 562): the server needs single modules of this package, and no client.
        if name == "Client":
            from bothways.client.blocking import Client

            return Client
        if name == "AsyncClient":
            from bothways.client.async_client import AsyncClient

            return AsyncClient
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
