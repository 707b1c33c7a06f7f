"""Questions into vectors within a deadline: a few threads encode, and nobody waits for them for ever.

A model's call cannot be interrupted. So it runs in a thread of its own while the search waits; when that gives up, the
call goes on to its end, and what is bounded is how many calls go on or wait at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from bothways.core.errors import EncodingTimeoutError

T = TypeVar("T")

THREADS = 8
WAITING = 64
"""Calls that wait for a thread; with one more, the model is taken for stuck."""


class Encoding:
    """Runs the embedding model for searches. Thread-safe."""

    def __init__(self, *, threads: int = THREADS, waiting: int = WAITING) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="encode")
        self._free = threading.Semaphore(threads + waiting)

    def run(self, encode: Callable[[], T], *, timeout_ms: float) -> T:
        """Call `encode` and give what it gives; raises `EncodingTimeoutError` when that takes too long."""
        if not self._free.acquire(blocking=False):
            raise EncodingTimeoutError(
                "The embedding model is busy with too many questions (BOTHWAYS_EMBEDDING_MODEL)."
            )
        call: Future[T] = self._pool.submit(encode)
        call.add_done_callback(lambda _: self._free.release())
        try:
            return call.result(timeout_ms / 1000)
        except TimeoutError as error:
            call.cancel()  # where it has not begun, it never will
            raise EncodingTimeoutError(
                f"The embedding model did not encode the question within {timeout_ms:.0f} ms "
                "(BOTHWAYS_ENCODE_TIMEOUT_MS)."
            ) from error
