"""One indexing job, top to bottom: documents learn the questions they answer, and go into one index.

Everything between the file and `_bulk` is a lazy iterator: a corpus larger than memory passes. A second run finds
what is unchanged by content hash and does no work for it; an interrupted run is resumed by running it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import structlog
from elasticsearch.helpers import scan

from bothways.core.datatypes import Chunk, Failure
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.errors import LLMUnavailableError, UsageError
from bothways.indexer.bulk import bulk, delete_actions
from bothways.indexer.changes.differences import Differences, SeenChunks, gone, only_changed
from bothways.indexer.changes.origins import keep_uploads, require_nothing_left_out
from bothways.indexer.changes.reuse import StoredText, copy_action, without_stored_texts
from bothways.indexer.doc2query.expand import REFUSED
from bothways.indexer.doc2query.filter import FilterReport, filter_questions, filtered
from bothways.indexer.parts import JobOptions, Parts
from bothways.indexer.read.child.chunks import chunks_of
from bothways.indexer.read.child.pool import start_reader
from bothways.indexer.read.files.folder import relative_name
from bothways.indexer.report import JobReport
from bothways.indexer.versions.publish import live_version, open_version, publish
from bothways.indexer.write import Progress, Target, Write, write
from bothways.models.llm.usage import TokenUsage

log = structlog.get_logger()


def index_path(
    path: Path,
    options: JobOptions,
    parts: Parts,
    progress: Progress = lambda _: None,
    *,
    write_chunks: Write = write,
) -> JobReport:
    """Bring a file or folder into a collection; the source is the truth, what is gone from it leaves the index.

    `write_chunks` does the costly half, and may share it with others (indexer/workers/workers.py).
    """
    if not path.exists():
        raise UsageError(f"There is no file or folder {path}.")
    started = time.monotonic()
    start_reader()
    report = JobReport(collection=options.collection)
    differences = Differences()
    origin, only_sources = _scope(path, options)
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
        index, compare_with = None, None if options.recreate else live
    else:
        index = compare_with = open_version(options, parts, built_from=str(path.expanduser().resolve()))
    report.index = compare_with or ""
    generations = _done_generations(options, parts)

    with SeenChunks() as seen, chunks_of(path, options, parts, report, progress) as pieces:
        chunks = _first_of_each_id(pieces, seen, report)
        changed = only_changed(
            _noted(chunks, report, differences, progress),
            parts.client,
            index=compare_with,
            origin=origin,
            generations=generations,
            differences=differences,
        )
        if compare_with and not options.recreate:
            take = _copying(compare_with, origin, options, differences, parts, report)
            changed = without_stored_texts(
                changed, parts.client, index=compare_with, generations=generations, take=take
            )
        if index is None:
            _dry_run(changed, parts, report)
        else:
            target = Target(index=index, origin=origin, concurrency=options.concurrency, generations=generations)
            write_chunks(changed, target, parts, report, progress)
            report.indexed += differences.copied  # not before: the threads that send count too
            progress(report)
            _settle(index, origin, only_sources, seen, differences, parts, report)
            _filter(index, parts, report, progress)
            if live and live != index:
                keep_uploads(parts, live=live, index=index, report=report, progress=progress)
    _take(differences, report)
    if index is not None:
        progress(report)
        publish(index, options, parts, report)
    report.seconds = round(time.monotonic() - started, 3)
    progress(report)
    return report


def _copying(
    index: str, origin: str, options: JobOptions, differences: Differences, parts: Parts, report: JobReport
) -> Callable[[list[StoredText]], None]:
    """Send chunks whose text is known as they come: nothing to encode or to ask, so nothing to wait for."""

    def copy(texts: list[StoredText]) -> None:
        report.reused += len(texts)
        differences.refused_before += sum(text.generation.startswith(REFUSED) for text in texts)
        if options.dry_run:
            return
        packed = parts.server.takes_packed_vectors
        copies = (
            copy_action(text, index=index, origin=origin, segmenter=parts.segmenter, packed=packed) for text in texts
        )
        sent = bulk(parts.client, copies)
        differences.copied += sent.ok
        report.failures.extend(sent.failures)

    return copy


def _settle(
    index: str,
    origin: str,
    only_sources: Sequence[str] | None,
    seen: SeenChunks,
    differences: Differences,
    parts: Parts,
    report: JobReport,
) -> None:
    """Remove what is gone, note where moved chunks now come from, and make everything visible to searches."""
    with elasticsearch_errors("refreshing the index"):
        parts.client.indices.refresh(index=index)
    unread = {failure.item for failure in report.failures if failure.stage == "read"}

    was_skipped = _skipped_whole(index, origin, seen, parts, report)

    def could_not_be_read(source: str) -> bool:
        is_unread = any(item in {source, "."} or source.startswith(f"{item}/") for item in unread)
        return is_unread or was_skipped(source)

    if report.documents == 0:
        # An empty folder is more often an unmounted one than the wish to delete everything.
        return
    stale = gone(
        parts.client,
        index=index,
        origin=origin,
        only_sources=only_sources,
        adopted=differences.adopted,
        seen=seen,
        keep=could_not_be_read,
    )
    removed = bulk(parts.client, delete_actions(stale, index=index))
    report.removed = removed.ok
    moves = ({"_op_type": "update", "_index": index, "_id": i, "doc": {"origin": origin}} for i in differences.moved)
    moved = bulk(parts.client, moves)
    report.failures.extend([*removed.failures, *moved.failures])
    if differences.overwritten:
        log.warning(
            "replaced_documents_of_another_folder",
            count=len(differences.overwritten),
            example=min(differences.overwritten),
            hint="documents are known by their path below the indexed folder; index the common parent to keep both",
        )
    with elasticsearch_errors("refreshing the index"):
        parts.client.indices.refresh(index=index)


def _skipped_whole(index: str, origin: str, seen: SeenChunks, parts: Parts, report: JobReport) -> Callable[[str], bool]:
    """Tell which sources were passed over as a whole, as one whose reader is not installed any more.

    They are still there, so what is known of them stays. A file of which only a part was skipped was read.
    """
    skipped = {item for item, _ in report.skipped}

    @cache
    def was_skipped(source: str) -> bool:
        if source not in skipped:
            return False
        query = {"query": {"bool": {"filter": [{"term": {"origin": origin}}, {"term": {"source": source}}]}}}
        with elasticsearch_errors("looking for what was skipped"):
            return all(hit["_id"] not in seen for hit in scan(parts.client, index=index, query=query, _source=False))

    return was_skipped


def _filter(index: str, parts: Parts, report: JobReport, progress: Progress) -> None:
    """Drop the questions that the filter does not keep: this run's, and those of a run that was cut off before."""
    if parts.question_filter is None or parts.writer is None:
        return
    try:
        generation = parts.writer.generation
    except LLMUnavailableError:
        return  # said before; no question of this run came from it
    by, packed = parts.question_filter, parts.server.takes_packed_vectors
    report.filter = by.name

    def so_far(done: FilterReport) -> None:
        report.filter_questions, report.filter_dropped = done.questions, done.dropped
        progress(report)

    done = filter_questions(parts.client, index, by, generation=generation, packed=packed, progress=so_far)
    report.failures.extend(done.failures)


def _scope(path: Path, options: JobOptions) -> tuple[str, Sequence[str] | None]:
    """Give the folder that a run speaks for, and the files in it when only those were named, as by an upload."""
    full = path.expanduser().resolve()
    if options.origin:
        return options.origin, tuple(relative_name(file, full) for file in full.iterdir())
    return (str(full.parent), (full.name,)) if full.is_file() else (str(full), None)


def _done_generations(options: JobOptions, parts: Parts) -> frozenset[str] | None:
    """Name the generations that need no new questions; what was refused is asked again only on request."""
    if parts.writer is None:
        return None
    try:
        wanted = parts.writer.generation
    except LLMUnavailableError as error:
        # Which model it is cannot be asked now: what has questions keeps them, the rest is marked as failed.
        log.warning("language_model_unavailable", reason=str(error))
        return None
    done = {wanted} if parts.question_filter is None else {wanted, filtered(wanted, parts.question_filter)}
    return frozenset(done if options.retry_failed else {*done, REFUSED + wanted})


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


def _noted(chunks: Iterable[Chunk], report: JobReport, differences: Differences, progress: Progress) -> Iterator[Chunk]:
    for piece in chunks:
        report.chunks += 1
        _take(differences, report)
        progress(report)
        yield piece


def _take(differences: Differences, report: JobReport) -> None:
    report.refused_before = differences.refused_before
    report.new, report.changed, report.unchanged = differences.new, differences.changed, differences.unchanged


def _dry_run(changed: Iterable[Chunk], parts: Parts, report: JobReport) -> None:
    """Count what a real run would do, without asking, encoding or writing anything."""
    usage = TokenUsage()
    for piece in changed:
        if parts.writer is not None and not parts.writer.has(piece):
            report.llm_calls += 1
            usage += parts.writer.estimate(piece)
    report.count_tokens(usage, parts.prices)
