"""Scores of earlier searches: the same question, the same passage, the same model."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence


class ScoreCache:
    """The `size` scores that were used last, in memory (about 200 bytes each). Thread-safe.

    The key is a digest of the model's name, the question and the passage, so a changed text is scored again.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._scores: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of cached scores."""
        return len(self._scores)

    def get(self, model: str, query: str, passages: Sequence[str]) -> list[float | None]:
        """Return the cached score of each passage, or None; scores that are found count as used."""
        if not self._size:
            return [None] * len(passages)
        keys = [_key(model, query, passage) for passage in passages]
        with self._lock:
            found = [self._scores.get(key) for key in keys]
            for key, score in zip(keys, found, strict=True):
                if score is not None:
                    self._scores.move_to_end(key)
        return found

    def put(self, model: str, query: str, passages: Sequence[str], scores: Sequence[float]) -> None:
        """Cache one score a passage; the least recently used ones are dropped."""
        keys = [_key(model, query, passage) for passage in passages]
        with self._lock:
            for key, score in zip(keys, scores, strict=True):
                self._scores[key] = score
                self._scores.move_to_end(key)
            while len(self._scores) > self._size:
                self._scores.popitem(last=False)


def _key(model: str, query: str, passage: str) -> bytes:
    return hashlib.blake2b(json.dumps([model, query, passage]).encode(), digest_size=16).digest()
