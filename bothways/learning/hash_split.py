"""Which part a text belongs to, by its hash: the same in every run and on every machine."""

from __future__ import annotations

import hashlib
from typing import Literal


def in_share(text: str, share: float, *, digest: Literal["sha256", "sha1"] = "sha256") -> bool:
    """Return whether a text is among the given share of all texts."""
    found = hashlib.new(digest, text.encode(), usedforsecurity=False).digest()
    return int.from_bytes(found[:8], "big") < share * 2**64
