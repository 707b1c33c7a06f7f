"""The costly half of a job: chunks that need work are expanded, embedded and sent. Pulled lazily from end to end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain

from bothways.core.datatypes import Chunk, EmbeddedChunk, ExpandedChunk
from bothways.indexer.bulk import bulk, to_action
from bothways.indexer.doc2query.expand import expand
from bothways.indexer.embed import embed
from bothways.indexer.parts import Parts
from bothways.indexer.report import JobReport

Progress = Callable[[JobReport], None]
"""Called as the job goes on, with the counts so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where chunks go and how: the version's `index`, the folder that they come from, requests to the LLM at once.

    `generations` are those whose questions need not be asked for again (see `only_changed`).
    """

    index: str
    origin: str
    concurrency: int
    generations: frozenset[str] | None = None


Write = Callable[[Iterable[Chunk], Target, Parts, JobReport, Progress], None]
"""Brings chunks into the index and counts them in the report: `write`, or a leader that shares the chunks."""


def write(changed: Iterable[Chunk], target: Target, parts: Parts, report: JobReport, progress: Progress) -> None:
    """Expand, embed and send the chunks, in this process."""
    expanded = expand(changed, parts.writer, concurrency=target.concurrency, on_failure=report.failures.append)
    embedded = _counted(_embed_lazily(_told(expanded, report, progress), parts), report)
    packed = parts.server.takes_packed_vectors
    actions = (
        to_action(item, index=target.index, origin=target.origin, segmenter=parts.segmenter, packed=packed)
        for item in embedded
    )

    def one_more(_: str) -> None:
        report.indexed += 1

    with (
        _calls_counted(parts, report),
        closing(embedded),  # an error in sending ends the encoding too, not when its traceback is let go
    ):
        sent = bulk(parts.client, actions, on_ok=one_more, progress=lambda: progress(report))
    report.failures.extend(sent.failures)


@contextmanager
def _calls_counted(parts: Parts, report: JobReport) -> Iterator[None]:
    """Add to the report what the writer asks meanwhile."""
    if parts.writer is None:
        yield
        return
    calls, cached, usage = parts.writer.calls, parts.writer.cache_hits, parts.writer.usage
    try:
        yield
    finally:
        report.llm_calls += parts.writer.calls - calls
        report.llm_cached += parts.writer.cache_hits - cached
        report.count_tokens(parts.writer.usage - usage, parts.prices)


def _told(expanded: Iterable[ExpandedChunk], report: JobReport, progress: Progress) -> Iterator[ExpandedChunk]:
    """Report each chunk that has its questions: a job can be watched and stopped while a slow model writes them."""
    for item in expanded:
        progress(report)
        yield item


def _embed_lazily(expanded: Iterable[ExpandedChunk], parts: Parts) -> Iterator[EmbeddedChunk]:
    """Load the encoder only when the first chunk arrives: a run that finds nothing to do loads no model."""
    iterator = iter(expanded)
    for first in iterator:
        yield from embed(chain([first], iterator), parts.encoder())


def _counted(embedded: Iterable[EmbeddedChunk], report: JobReport) -> Generator[EmbeddedChunk, None, None]:
    for item in embedded:
        report.questions += len(item.expanded.questions)
        report.encoded += 1 + len(item.expanded.questions)
        yield item
