"""Doc2Query: chunks in, the same chunks out in the same order, each with the questions that it answers.

Documents learn here how people ask (Nogueira et al. 2019, "Document Expansion by Query Prediction"): questions in lay
words, keyword queries, situations. A chunk for which the language model fails goes on without questions and is marked
so; nothing is lost, and a later run asks again for those alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from threading import Semaphore
from typing import Protocol

from bothways.core.datatypes import Chunk, ExpandedChunk, Failure
from bothways.core.errors import LLMError, LLMUnavailableError
from bothways.models.llm.usage import TokenUsage

FAILED = "failed"
"""The generation of a chunk whose questions could not be asked for: the next run asks again."""

REFUSED = "refused:"
"""Stands before the generation of a chunk for which the model has no answer: asked again only on request."""

LEARNT = "+learnt-"
"""Stands in the generation of a chunk whose questions were written anew from feedback, before how often they were."""


def before_learning(generation: str) -> str:
    """Return the generation that learning began with: an indexing run leaves what was learnt on top of it alone."""
    return generation.partition(LEARNT)[0]


def next_learnt(generation: str) -> str:
    """Raise a generation: the questions of a chunk are written anew once more. It is refused no longer."""
    base, _, times = generation.partition(LEARNT)
    return f"{base.removeprefix(REFUSED)}{LEARNT}{int(times or 0) + 1}"


class Writer(Protocol):
    """Whatever writes the questions of a chunk; used by several threads at once."""

    calls: int
    cache_hits: int

    @property
    def generation(self) -> str:
        """What names the way in which the questions come about: equal names, equal questions."""
        ...

    def has(self, chunk: Chunk) -> bool:
        """Return whether the questions are at hand without a call."""
        ...

    def write(self, chunk: Chunk) -> tuple[str, ...]:
        """Return the questions of a chunk, at least one; raises `LLMError`."""
        ...

    @property
    def usage(self) -> TokenUsage:
        """The tokens that its calls have taken so far."""
        ...

    def estimate(self, chunk: Chunk) -> TokenUsage:
        """Return an estimate of the tokens that a call about this chunk would take."""
        ...

    def close(self) -> None:
        """Close it; questions that are being written then fail."""
        ...


def expand(
    chunks: Iterable[Chunk], writer: Writer | None, *, concurrency: int, on_failure: Callable[[Failure], None]
) -> Iterator[ExpandedChunk]:
    """Return every chunk with its questions, lazily and in order; without a writer, with none.

    Up to `concurrency` chunks are written for at once, by all jobs of this process together, and at most twice as many
    are taken ahead of what is given.
    A chunk whose writer fails is told to `on_failure` and given without questions: with the generation "failed" where
    the model could not be reached (`LLMUnavailableError`), marked as refused where it has no answer to this chunk
    (`LLMError`). Closing the iterator drops what has not begun and waits for nothing.
    """
    if writer is None:
        yield from (ExpandedChunk(chunk) for chunk in chunks)
        return
    source = iter(chunks)
    waiting: deque[tuple[Chunk, Future[tuple[str, ...]]]] = deque()
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="expand")
    try:
        while True:
            for chunk in islice(source, 2 * concurrency - len(waiting)):
                waiting.append((chunk, pool.submit(_write, writer, chunk, _permits(concurrency))))
            if not waiting:
                return
            yield _finished(*waiting.popleft(), writer, on_failure)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@lru_cache
def _permits(concurrency: int) -> Semaphore:
    """Return what limits the calls of all jobs of this process together: they share one language model."""
    return Semaphore(concurrency)


def _write(writer: Writer, chunk: Chunk, permits: Semaphore) -> tuple[str, ...]:
    with permits:
        return writer.write(chunk)


def _finished(
    chunk: Chunk, future: Future[tuple[str, ...]], writer: Writer, on_failure: Callable[[Failure], None]
) -> ExpandedChunk:
    try:
        return ExpandedChunk(chunk, future.result(), writer.generation)
    except LLMUnavailableError as error:
        on_failure(Failure(stage="expand", item=chunk.chunk_id, reason=str(error), title=chunk.title))
        return ExpandedChunk(chunk, (), FAILED)
    except LLMError as error:
        on_failure(Failure(stage="refuse", item=chunk.chunk_id, reason=str(error), title=chunk.title))
        return ExpandedChunk(chunk, (), REFUSED + writer.generation)
