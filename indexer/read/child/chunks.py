"""The chunks of a file or folder: read and cut in a process of its own, so that no file ends or blocks the job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bothways.core.datatypes import Chunk, Document
from bothways.indexer.chunk import chunk
from bothways.indexer.parts import JobOptions, Parts
from bothways.indexer.read.child.frames import Cut
from bothways.indexer.read.child.read import ReadLimits, ReadOptions, chunks_in_child, read_in_child
from bothways.indexer.report import JobReport
from bothways.indexer.write import Progress


@contextmanager
def chunks_of(
    path: Path, options: JobOptions, parts: Parts, report: JobReport, progress: Progress
) -> Iterator[Iterator[Chunk]]:
    """Give the chunks of a path lazily, and end what reads it with the `with`, whatever ends that.

    `report` counts documents and gets failures and skips. `progress`, which ends the job where it is cancelled, is
    told while a file is waited for, too. Semantic chunks are cut in this process, which has the models for it.
    """
    how = ReadOptions(
        max_file_mb=options.max_file_mb,
        case_sections=options.case_sections,
        limits=ReadLimits(options.read_timeout_s, options.read_memory_mb),
        on_failure=report.failures.append,
        on_skip=lambda item, why: report.skipped.append((item, why)),
        look=lambda: progress(report),
    )

    def count() -> None:
        report.documents += 1

    if options.chunker != "semantic":
        with closing(chunks_in_child(path, how, Cut(options.chunker, options.max_chars), count)) as chunks:
            yield chunks
        return
    with closing(read_in_child(path, how)) as documents:
        yield chunk(
            _counted(documents, count),
            options.chunker,
            max_chars=options.max_chars,
            encoder=parts.encoder,
            segmentation=parts.segmentation,
        )


def _counted(documents: Iterable[Document], count: Callable[[], None]) -> Iterator[Document]:
    for document in documents:
        count()
        yield document
