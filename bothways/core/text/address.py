"""Addresses as they may be shown: in messages, in logs, in the index."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


def public_url(url: str) -> str:
    """Return an address without its secrets: without user and password, and without all behind the path.

    Raise `ValueError` for an IPv6 address without its closing bracket.
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
