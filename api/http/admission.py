"""How many searches the server works on at once: a few, some that wait for their turn, and a clear 503 for the rest.

Beyond what the processors can do, more at once makes every search slower and none faster. Who waits holds no thread, so
that `/health/live` and the other routes answer however many searches there are.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from prometheus_client import Counter

from bothways.core.errors import OverloadedError

REFUSED = Counter("bothways_searches_refused", "Searches answered 503, since too many were asked at once")
ANSWERS_REFUSED = Counter("bothways_answers_refused", "Questions answered 503, since too many were asked at once")

_LONGEST_RETRY_AFTER_S = 60
_SHARE_OF_LAST = 0.1


class Admission:
    """Lets `at_once` in, and up to `waiting` wait for at most `wait_s` seconds. For one event loop.

    `of` is what they are called, `setting` says how many, `refused` counts those who got no turn.
    """

    def __init__(
        self,
        *,
        at_once: int,
        waiting: int,
        wait_s: float,
        of: str = "searches",
        setting: str = "BOTHWAYS_SEARCH_CONCURRENCY",
        refused: Counter = REFUSED,
    ) -> None:
        self._of = of
        self._setting = f" ({setting})" if setting else ""
        self._refused = refused
        self._at_once = at_once
        self._most_waiting = waiting
        self._wait_s = wait_s
        self._free = asyncio.Semaphore(at_once)
        self._waiting = 0
        self._mean_s = 0.1

    @asynccontextmanager
    async def late_turn(self) -> AsyncIterator[None]:
        """Wait for a turn as long as it takes: for work that was let in elsewhere and is not refused half done."""
        async with self._free:
            yield

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and have it; raises `OverloadedError` where too many wait, or this one waited too long."""
        if self._free.locked() and self._waiting >= self._most_waiting:
            raise self._overloaded()
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError as error:
            raise self._overloaded() from error
        finally:
            self._waiting -= 1
        started = time.monotonic()
        try:
            yield
        finally:
            self._free.release()
            self._mean_s += _SHARE_OF_LAST * (time.monotonic() - started - self._mean_s)

    def _overloaded(self) -> OverloadedError:
        self._refused.inc()
        seconds = math.ceil(self._mean_s * (self._waiting + 1) / self._at_once)
        return OverloadedError(
            f"{self._at_once} {self._of} go on and {self._waiting} wait, which is all that this server takes on at "
            f"once{self._setting}: ask again a little later.",
            retry_after_s=min(max(seconds, 1), _LONGEST_RETRY_AFTER_S),
        )


async def admitted(request: Request) -> AsyncIterator[None]:
    """Hold a turn while a route works: for routes that search."""
    admission: Admission = request.app.state.admission
    async with admission.turn():
        yield
