"""An asynchronous client for callers in threads, on an event loop of its own.

A blocking client limits only the time of each read: an endpoint that sends a byte now and then would hold it for ever.
On a loop the whole request has a time limit, and closing ends it at once.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, Generic, Protocol, TypeVar


class Closable(Protocol):
    """A client that is closed on its loop."""

    async def aclose(self) -> None:
        """Close the connections."""
        ...


_CLOSE_S = 5.0
"""Seconds for cancelled work to end; it takes milliseconds."""

T = TypeVar("T")
C = TypeVar("C", bound=Closable)


class ClosedError(Exception):
    """It was closed before the work was done."""


class ClientThread(Generic[C]):
    """Runs coroutines of one client, which `make` makes, in a daemon thread of its own. Threads may share it."""

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._unused: C | None = make()
        self._lock = threading.Lock()
        self._closed = False
        self._running: tuple[int, asyncio.AbstractEventLoop, C] | None = None
        self._thread: threading.Thread | None = None

    def run(self, use: Callable[[C], Coroutine[Any, Any, T]]) -> T:
        """Return the result of `use(client)` or raise its error; raise `ClosedError` after `close`."""
        loop, client = self._started()
        work = use(client)
        try:
            doing = asyncio.run_coroutine_threadsafe(work, loop)
        except RuntimeError as error:  # closed since
            work.close()
            raise ClosedError from error
        try:
            return doing.result()
        except CancelledError as error:
            raise ClosedError from error
        except BaseException:
            doing.cancel()  # the caller was interrupted
            raise

    def close(self) -> None:
        """End all work and close the client; nothing runs any more."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, None
        if running is not None and self._thread is not None and running[0] == os.getpid():
            _stop(running[1])
            self._thread.join(_CLOSE_S)

    def _started(self) -> tuple[asyncio.AbstractEventLoop, C]:
        """Return the loop and the client; a forked process gets new ones, since threads are not forked."""
        with self._lock:
            if self._closed:
                raise ClosedError
            if self._running is None or self._running[0] != os.getpid():
                loop, client = asyncio.new_event_loop(), self._unused or self._make()
                self._unused = None
                self._thread = threading.Thread(target=_serve, args=(loop, client), name="http", daemon=True)
                self._thread.start()
                weakref.finalize(self, _stop, loop).atexit = False  # a process that ends needs no tidy end of this
                self._running = (os.getpid(), loop, client)
            return self._running[1:]


def _serve(loop: asyncio.AbstractEventLoop, client: Closable) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(_ended(client))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


async def _ended(client: Closable) -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.aclose()


def _stop(loop: asyncio.AbstractEventLoop) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)
