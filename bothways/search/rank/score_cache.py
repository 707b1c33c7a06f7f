"""Scores of pairs that were asked for before: the same question, the same passage, the same model."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence


class ScoreCache:
    """The `size` scores that were used last, in memory (some 200 bytes each). Threads may share it.

    The key is a digest of the model's name, the question and the passage, so that a changed text is scored anew.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._scores: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        """How many scores are kept."""
        return len(self._scores)

    def get(self, model: str, query: str, passages: Sequence[str]) -> list[float | None]:
        """Return the kept score of each passage, or None; what was found counts as used."""
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
        """Keep scores, one a passage; those that were not used for longest make room."""
        keys = [_key(model, query, passage) for passage in passages]
        with self._lock:
            for key, score in zip(keys, scores, strict=True):
                self._scores[key] = score
                self._scores.move_to_end(key)
            while len(self._scores) > self._size:
                self._scores.popitem(last=False)


def _key(model: str, query: str, passage: str) -> bytes:
    return hashlib.blake2b(json.dumps([model, query, passage]).encode(), digest_size=16).digest()
