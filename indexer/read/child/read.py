"""Reading in a process of its own, so that no file ends or blocks the job: the same documents as `read`, in order.

Whatever a file does to that process (it raises, crashes, hangs, fills the memory) is this file's failure, and the
next one is read. A process that has nothing to do is kept for the next job for a short time: starting one takes a
third of a second.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from bothways.core.datatypes import CaseSection, Chunk, Document, Failure
from bothways.core.errors import UsageError
from bothways.indexer.chunk import chunk
from bothways.indexer.parts import JobOptions, Parts
from bothways.indexer.read import READERS, read
from bothways.indexer.read.child.frames import Cut, Request
from bothways.indexer.read.child.pool import pool
from bothways.indexer.read.child.process import AHEAD, Reader
from bothways.indexer.read.files.folder import CASE_SECTIONS, walk
from bothways.indexer.read.other import not_read
from bothways.indexer.report import JobReport
from bothways.indexer.write import Progress

_Item = Request | Callable[[], None]
"""A file to read, or the call that reports one that is not read; both keep the order of the files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How a path is read: options and callbacks as those of `bothways.indexer.read.read`.

    One file may take `timeout_s` seconds until its next document or page (more where it is large), and `memory_mb`.
    `look` is called every tenth of a second while a file is waited for, and raises to end the reading.
    """

    max_file_mb: float
    on_failure: Callable[[Failure], None]
    on_skip: Callable[[str, str], None] = lambda _source, _reason: None
    case_sections: Collection[CaseSection] = CASE_SECTIONS
    timeout_s: float = 60.0
    memory_mb: float = 2000.0
    look: Callable[[], None] = lambda: None


@contextmanager
def chunks_of(
    path: Path, options: JobOptions, parts: Parts, report: JobReport, progress: Progress
) -> Iterator[Iterator[Chunk]]:
    """Return the chunks of a path lazily, and end the process that reads with the `with`, whatever ends that.

    `report` counts documents and gets failures and skips. `progress`, which raises where the job is cancelled, is also
    called while a file is waited for. Semantic chunks are cut in this process, which has the models for it.
    """
    how = ReadOptions(
        max_file_mb=options.max_file_mb,
        case_sections=options.case_sections,
        timeout_s=options.read_timeout_s,
        memory_mb=options.read_memory_mb,
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


def read_in_child(path: Path, how: ReadOptions) -> Generator[Document, None, None]:
    """Read a file, or all files below a folder, as `bothways.indexer.read.read` does, in a process that can be killed.

    Closing the iterator ends the process, if it is at work. Raises `ReaderError` where no process can be started.
    """
    _require(path)
    return _here(path, how) if os.name == "nt" else _read(path, how, None)


def chunks_in_child(
    path: Path, how: ReadOptions, cut: Cut, on_document: Callable[[], None] = lambda: None
) -> Generator[Chunk, None, None]:
    """Read as `read_in_child` does and cut in that process, too: a document of a million lines takes its time.

    `on_document` is called for each document before its chunks come.
    """
    _require(path)
    if os.name == "nt":
        documents = _here(path, how)
        cut_here = (list(chunk([document], cut.chunker, max_chars=cut.max_chars)) for document in documents)
        return _chunks(cut_here, on_document)
    return _chunks(_read(path, how, cut), on_document)


def _require(path: Path) -> None:
    if not path.exists():
        raise UsageError(f"There is no file or folder {str(path)!r}.")


def _here(path: Path, how: ReadOptions) -> Generator[Document, None, None]:
    """Read in this process, where nothing keeps the limits (Windows), so that another one would only cost time."""
    yield from read(
        path,
        max_file_mb=how.max_file_mb,
        on_failure=how.on_failure,
        on_skip=how.on_skip,
        case_sections=how.case_sections,
    )


def _counted(documents: Iterable[Document], count: Callable[[], None]) -> Iterator[Document]:
    for document in documents:
        count()
        yield document


def _chunks(
    documents: Generator[list[Chunk], None, None], on_document: Callable[[], None]
) -> Generator[Chunk, None, None]:
    with closing(documents):
        for chunks in documents:
            on_document()
            yield from chunks


def _read(path: Path, how: ReadOptions, cut: Cut | None) -> Generator[Any, None, None]:
    """Yield documents or, with `cut`, the list of each document's chunks."""
    with pool.lent() as reader:
        for item in _requested_ahead(_items(path, how, cut), reader):
            if not isinstance(item, Request):
                item()
                continue
            for kind, value in reader.answers(how.look):
                match kind:
                    case "document" | "chunks":
                        yield value
                    case "failure":
                        how.on_failure(value)
                    case "skip":
                        how.on_skip(*value)


def _items(path: Path, how: ReadOptions, cut: Cut | None) -> Iterator[_Item]:
    reports: list[Callable[[], None]] = []

    def reported() -> Iterator[_Item]:
        yield from reports
        reports.clear()

    for file, relative in walk(
        path,
        on_failure=lambda failure: reports.append(partial(how.on_failure, failure)),
        on_skip=lambda item, why: reports.append(partial(how.on_skip, item, why)),
    ):
        yield from reported()
        if file.suffix.lower() in READERS:
            yield _request(file, relative, how, cut)
        else:
            yield partial(how.on_skip, relative, not_read(file.suffix))
    yield from reported()


def _request(file: Path, relative: str, how: ReadOptions, cut: Cut | None) -> Request:
    return Request(
        path=os.path.abspath(file),  # noqa: PTH100 – `resolve` would follow links, and so change the extension
        relative=relative,
        max_file_mb=how.max_file_mb,
        case_sections=tuple(how.case_sections),
        timeout_s=how.timeout_s,
        memory_mb=how.memory_mb,
        cut=cut,
    )


def _requested_ahead(items: Iterator[_Item], reader: Reader) -> Iterator[_Item]:
    """Yield the items in order, each file after it was requested, and request as many ahead as the reader takes."""
    waiting: deque[_Item] = deque()
    while True:
        if reader.takes_more and len(waiting) < AHEAD:
            more = list(islice(items, AHEAD - AHEAD // 2))
            reader.request([item for item in more if isinstance(item, Request)])
            waiting.extend(more)
        if not waiting:
            return
        yield waiting.popleft()
