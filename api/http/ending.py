"""The end of the server: requests that are still answered then get a proper error, instead of a cut connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from bothways.core.errors import ServerEndingError

T = TypeVar("T")

GRACE_S = 4.0
"""Seconds that answers may still take when the server ends; Docker kills a container after 10 s."""

GRACEFUL_S = 7
"""How long the server waits for open connections; what has not ended by then is cancelled."""


class Ending:
    """Knows whether the server ends, and ends waits when it does. For one event loop."""

    def __init__(self) -> None:
        self._waits: set[asyncio.Timeout] = set()
        self._until: float | None = None

    def begin(self) -> None:
        """Shorten all waits to the time that is left; later waits get no more."""
        self._until = asyncio.get_running_loop().time() + GRACE_S
        for wait in self._waits:
            _shorten(wait, self._until)

    @asynccontextmanager
    async def within(self, seconds: float | None = None) -> AsyncIterator[None]:
        """Bound what stands in the `with` by so many seconds, and by the end of the server.

        Raises `TimeoutError` after the seconds, `ServerEndingError` where the server ends before.
        """
        wait = None
        try:
            async with asyncio.timeout(seconds) as wait:
                if self._until is not None:
                    _shorten(wait, self._until)
                self._waits.add(wait)
                yield
        except TimeoutError as error:
            if self._until is not None and wait is not None and wait.expired():
                raise ServerEndingError(
                    "The server is about to end and did not finish this: send it again in a moment.", retry_after_s=5
                ) from error
            raise
        finally:
            if wait is not None:
                self._waits.discard(wait)

    async def pieces(self, whole: AsyncGenerator[T, None]) -> AsyncIterator[T]:
        """Yield what comes; raises `ServerEndingError` where the server ends before it is complete."""
        while True:
            try:
                async with self.within():
                    piece = await anext(whole)
            except StopAsyncIteration:
                return
            yield piece


def _shorten(wait: asyncio.Timeout, until: float) -> None:
    before = wait.when()
    if before is None or before > until:
        wait.reschedule(until)
