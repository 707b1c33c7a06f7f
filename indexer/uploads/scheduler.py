"""Which upload comes next: those of several collections run at once, those of one collection in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable

AT_ONCE = 4
"""Jobs of uploads that one server runs at once: each has a process that reads, with memory of its own."""


class Scheduler:
    """One slot a collection, `at_once` in all; the collection that was served longest ago comes first. Thread-safe.

    So a collection with a long queue gives way to the others after each of its uploads. `clock` gives seconds.
    """

    def __init__(self, at_once: int = AT_ONCE, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._at_once = at_once
        self._clock = clock
        self._busy: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._served: dict[str, int] = {}
        self._count = 0
        self._lock = threading.Lock()

    def take(self, waiting: Iterable[str]) -> str | None:
        """Take a slot for one of the collections `waiting`, oldest upload first; None where none may go now."""
        with self._lock:
            if len(self._busy) >= self._at_once:
                return None
            known = dict.fromkeys(waiting)
            self._served = {
                name: number for name, number in self._served.items() if name in known or name in self._busy
            }
            now = self._clock()
            free = [name for name in known if name not in self._busy and self._not_before.get(name, now) <= now]
            if not free:
                return None
            chosen = min(free, key=lambda name: self._served.get(name, 0))  # of equals the first, which is the oldest
            self._busy.add(chosen)
            self._not_before.pop(chosen, None)
            self._count += 1
            self._served[chosen] = self._count
            return chosen

    def release(self, collection: str, *, again_after_s: float = 0.0) -> None:
        """Free the slot of a collection, which is not tried again before so many seconds have passed."""
        with self._lock:
            self._busy.discard(collection)
            if again_after_s:
                self._not_before[collection] = self._clock() + again_after_s

    def retry_now(self) -> None:
        """Allow all collections at once, those to be tried later, too."""
        with self._lock:
            self._not_before.clear()

    def next_try_s(self, waiting: Collection[str]) -> float | None:
        """Return the seconds until a collection of `waiting` is to be tried again; None where none is."""
        with self._lock:
            times = [at for name, at in self._not_before.items() if name in waiting]
            return max(0.0, min(times) - self._clock()) if times else None
