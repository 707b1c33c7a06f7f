"""A cross-encoder whose time is told by a clock that tests set."""

from __future__ import annotations

from bothways.core.errors import ModelError
from bothways.core.results import Hit


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Slow:
    """Takes a second for each ten characters, question and passage together; fails at the call of that number."""

    name = "fake/slow"

    def __init__(self, clock, fail_at=None):
        self.clock = clock
        self.calls = []
        self.fail_at = fail_at
        self.speed = 10
        self.overhead = 0

    def score(self, query, texts):
        self.calls.append(list(texts))
        if len(self.calls) == self.fail_at:
            raise ModelError("out of memory")
        self.clock.now += self.overhead + sum(len(query) + len(text) for text in texts) / self.speed
        return [float(len(set(query) & set(text))) for text in texts]


def numbered(count):
    """Hits of eight characters, best first; with a question of two, each takes a second."""
    return [Hit(chunk_id=f"c{n:02}", score=1 / (n + 1), text=f"{n:08}") for n in range(count)]
