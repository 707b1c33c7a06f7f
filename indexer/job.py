"""One indexing job, top to bottom: documents learn the questions they answer, and go into one index.

    files → documents → chunks → chunks that the index lacks → with questions → with vectors → one index

Everything between the file and `_bulk` is a lazy iterator: a corpus larger than memory passes. A second run finds
what is unchanged by content hash and does no work for it; an interrupted run is resumed by running it again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from bothways.core.datatypes import Chunk, Failure
from bothways.core.errors import LLMUnavailableError, UsageError
from bothways.indexer.bulk import bulk
from bothways.indexer.changes.differences import Differences, SeenChunks, only_changed
from bothways.indexer.changes.gone import remove_gone
from bothways.indexer.changes.origins import keep_uploads, require_nothing_left_out
from bothways.indexer.changes.reuse import StoredText, copy_action, without_stored_texts
from bothways.indexer.doc2query.expand import REFUSED
from bothways.indexer.doc2query.filter import FilterReport, filter_questions, filtered
from bothways.indexer.parts import JobOptions, Parts
from bothways.indexer.read.child.pool import start_reader
from bothways.indexer.read.child.read import chunks_of
from bothways.indexer.read.files.folder import relative_name
from bothways.indexer.report import JobReport
from bothways.indexer.versions.publish import live_version, open_version, publish
from bothways.indexer.write import Progress, Target, Write, write
from bothways.models.llm.usage import TokenUsage

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What the stages of one job share.

    `origin` is the folder that the job speaks for; `only_sources` names the files in it where only those were given,
    as by an upload. `live` is the version that searches go to, `index` the one that is written (None in a dry run),
    `compared_with` the one that says what is known (None: nothing is). Chunks whose questions are of one of the
    `generations` need no new ones; None: no questions are asked for.
    """

    options: JobOptions
    parts: Parts
    report: JobReport
    progress: Progress
    origin: str
    only_sources: Sequence[str] | None
    live: str | None
    index: str | None
    compared_with: str | None
    generations: frozenset[str] | None
    differences: Differences = field(default_factory=Differences)

    def tell(self) -> None:
        """Tell `progress` the counts so far; it raises where the job is to end."""
        self.report.refused_before = self.differences.refused_before
        self.report.new, self.report.changed = self.differences.new, self.differences.changed
        self.report.unchanged = self.differences.unchanged
        self.progress(self.report)


def index_path(
    path: Path,
    options: JobOptions,
    parts: Parts,
    progress: Progress = lambda _: None,
    *,
    write_chunks: Write = write,
) -> JobReport:
    """Bring a file or folder into a collection; the source is the truth, what is gone from it leaves the index.

    `write_chunks` expands, embeds and sends the chunks, and may share this work (indexer/workers/workers.py).
    """
    started = time.monotonic()
    job = _begin(path, options, parts, progress)
    report = job.report
    with SeenChunks() as seen, chunks_of(path, options, parts, report, progress) as read:
        chunks = _counted(_first_of_each_id(read, seen, report), job)
        changed = only_changed(
            chunks,
            parts.client,
            index=job.compared_with,
            origin=job.origin,
            generations=job.generations,
            differences=job.differences,
        )
        changed = _without_stored_texts(changed, job)
        if job.index is None:
            _estimate(changed, job)
        else:
            target = Target(
                index=job.index, origin=job.origin, concurrency=options.concurrency, generations=job.generations
            )
            write_chunks(changed, target, parts, report, progress)
            report.indexed += job.differences.copied  # not before: the threads that send count too
            progress(report)
            remove_gone(
                parts.client,
                index=job.index,
                origin=job.origin,
                only_sources=job.only_sources,
                seen=seen,
                differences=job.differences,
                report=report,
            )
            _filter_questions(job.index, job)
            if job.live and job.live != job.index:
                keep_uploads(parts, live=job.live, index=job.index, report=report, progress=progress)
    job.tell()
    if job.index is not None:
        publish(job.index, options, parts, report)
    report.seconds = round(time.monotonic() - started, 3)
    progress(report)
    return report


def _begin(path: Path, options: JobOptions, parts: Parts, progress: Progress) -> _Job:
    """Find the version to write to, and what need not be done again."""
    if not path.exists():
        raise UsageError(f"There is no file or folder {path}.")
    start_reader()
    full = path.expanduser().resolve()
    origin, only_sources = _scope(full, options)
    live = live_version(options, parts)
    if live and options.recreate and not options.without_others:
        require_nothing_left_out(
            parts.client,
            live,
            collection=options.collection,
            path=str(path),
            origin=origin,
            only_sources=only_sources,
        )
    if options.dry_run:
        index, compared_with = None, None if options.recreate else live
    else:
        index = compared_with = open_version(options, parts, built_from=str(full))
    return _Job(
        options=options,
        parts=parts,
        report=JobReport(collection=options.collection, index=compared_with or ""),
        progress=progress,
        origin=origin,
        only_sources=only_sources,
        live=live,
        index=index,
        compared_with=compared_with,
        generations=_done_generations(options, parts),
    )


def _scope(full: Path, options: JobOptions) -> tuple[str, Sequence[str] | None]:
    """Return the folder that a job speaks for, and the files in it when only those were named."""
    if options.origin:
        return options.origin, tuple(relative_name(file, full) for file in full.iterdir())
    return (str(full.parent), (full.name,)) if full.is_file() else (str(full), None)


def _done_generations(options: JobOptions, parts: Parts) -> frozenset[str] | None:
    """Return the generations that need no new questions; what was refused is asked again only on request."""
    if parts.writer is None:
        return None
    try:
        generation = parts.writer.generation
    except LLMUnavailableError as error:
        # The model's name cannot be asked for now: chunks with questions keep them, the others are marked as failed.
        log.warning("language_model_unavailable", reason=str(error))
        return None
    done = {generation} if parts.question_filter is None else {generation, filtered(generation, parts.question_filter)}
    return frozenset(done if options.retry_failed else {*done, REFUSED + generation})


def _first_of_each_id(chunks: Iterable[Chunk], seen: SeenChunks, report: JobReport) -> Iterator[Chunk]:
    refused: str | None = None
    for piece in chunks:
        is_new = seen.add(piece.chunk_id)
        if piece.position == 0:
            refused = None if is_new else piece.doc_id
            if refused is not None:
                why = f"a second record has the id {refused!r}; only the first was indexed"
                report.failures.append(Failure(stage="read", item=piece.source, reason=why))
        if is_new and piece.doc_id != refused:
            yield piece


def _counted(chunks: Iterable[Chunk], job: _Job) -> Iterator[Chunk]:
    for piece in chunks:
        job.report.chunks += 1
        job.tell()
        yield piece


def _without_stored_texts(chunks: Iterator[Chunk], job: _Job) -> Iterator[Chunk]:
    """Send chunks whose text the index holds as they come: there is nothing to encode or to ask for them."""
    index, parts = job.compared_with, job.parts
    if index is None or job.options.recreate:
        return chunks

    def copy(texts: list[StoredText]) -> None:
        job.report.reused += len(texts)
        job.differences.refused_before += sum(text.generation.startswith(REFUSED) for text in texts)
        if job.options.dry_run:
            return
        packed = parts.server.takes_packed_vectors
        copies = (
            copy_action(text, index=index, origin=job.origin, segmenter=parts.segmenter, packed=packed)
            for text in texts
        )
        sent = bulk(parts.client, copies)
        job.differences.copied += sent.ok
        job.report.failures.extend(sent.failures)

    return without_stored_texts(chunks, parts.client, index=index, generations=job.generations, take=copy)


def _estimate(changed: Iterable[Chunk], job: _Job) -> None:
    """Count what a real run would do, without asking, encoding or writing anything."""
    usage, writer = TokenUsage(), job.parts.writer
    for piece in changed:
        if writer is not None and not writer.has(piece):
            job.report.llm_calls += 1
            usage += writer.estimate(piece)
    job.report.count_tokens(usage, job.parts.prices)


def _filter_questions(index: str, job: _Job) -> None:
    """Drop the questions that the filter does not keep: this run's, and those of a run that was cut off before."""
    parts, report = job.parts, job.report
    if parts.question_filter is None or parts.writer is None:
        return
    try:
        generation = parts.writer.generation
    except LLMUnavailableError:
        return  # was logged when the job began; no question of this run came from it
    by, packed = parts.question_filter, parts.server.takes_packed_vectors
    report.filter = by.name

    def so_far(done: FilterReport) -> None:
        report.filter_questions, report.filter_dropped = done.questions, done.dropped
        job.progress(report)

    done = filter_questions(parts.client, index, by, generation=generation, packed=packed, progress=so_far)
    report.failures.extend(done.failures)
