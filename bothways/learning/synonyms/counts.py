"""Counting without end in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class BoundedCounts(Generic[K]):
    """Counts of at most about `limit` things: when there are more, the rarest are forgotten.

    A count is exact, or too low by at most `missed`. After lossy counting (Manku and Motwani, Approximate Frequency
    Counts over Data Streams, VLDB 2002), with the buckets drawn by memory instead of by length.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: Counter[K] = Counter()
        self.missed = 0

    def add(self, things: Iterable[K]) -> None:
        """Count each of some things once."""
        self._counts.update(things)
        while len(self._counts) > self._limit:
            self.missed += 1
            self._counts = Counter({thing: count for thing, count in self._counts.items() if count > self.missed})

    def __getitem__(self, thing: K) -> int:
        return self._counts[thing]

    def at_least(self, count: int) -> list[tuple[K, int]]:
        """List what was counted so often, with its count."""
        return [(thing, times) for thing, times in self._counts.items() if times >= count]
