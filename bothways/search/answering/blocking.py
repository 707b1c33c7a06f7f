"""Answers for callers without an event loop: the same `Answerer`, on its own loop in a thread.

with BlockingAnswerer(answerer) as blocking:
    answer = blocking.answer(ask)
    for event in blocking.stream(ask): ...
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import AbstractContextManager, aclosing
from types import TracebackType

from anyio.from_thread import BlockingPortal, start_blocking_portal

from bothways.search.answering.answer import Answerer
from bothways.search.answering.types import Answer, Ask, Event


class BlockingAnswerer:
    """Runs one `Answerer` on its own loop, for any number of threads; nothing else may use its chat model."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        self._running: AbstractContextManager[BlockingPortal] = start_blocking_portal()
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> BlockingAnswerer:
        self._portal = self._running.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._portal = None
        self._running.__exit__(kind, error, traceback)

    def answer(self, ask: Ask) -> Answer:
        """Return the whole answer, as `Answerer.answer` does."""
        return self._loop.call(self._answerer.answer, ask)

    def stream(self, ask: Ask) -> Iterator[Event]:
        """Yield the answer in pieces as it is written, then the whole; closing the iterator ends the model's work."""
        events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        task = self._loop.start_task_soon(self._written, ask, events)
        try:
            while (event := events.get()) is not None:
                yield event
            task.result()  # raises the error of the search
        finally:
            task.cancel()

    @property
    def _loop(self) -> BlockingPortal:
        if self._portal is None:
            raise RuntimeError("Use it in a `with` block.")
        return self._portal

    async def _written(self, ask: Ask, events: queue.SimpleQueue[Event | None]) -> None:
        try:
            async with aclosing(self._answerer.stream(await self._answerer.prepare(ask))) as stream:
                async for event in stream:
                    events.put(event)
        finally:
            events.put(None)
