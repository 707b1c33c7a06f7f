"""Reading in a process of its own, so that no file ends or blocks the job: the same documents as `read`, in order.

Whatever a file does to that process (it raises, crashes, hangs, fills the memory) is this file's failure, and the
next one is read. A process that has nothing to do is kept for the next job for a short time: starting one takes a
third of a second.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from bothways.core.datatypes import CaseSection, Chunk, Document, Failure
from bothways.core.errors import UsageError
from bothways.indexer.chunk import chunk
from bothways.indexer.read import READERS, read
from bothways.indexer.read.child.frames import Cut, Request
from bothways.indexer.read.child.pool import pool
from bothways.indexer.read.child.process import AHEAD, Reader
from bothways.indexer.read.files.folder import CASE_SECTIONS, walk
from bothways.indexer.read.other import not_read

_Item = Request | Callable[[], None]
"""A file to read, or what is to be said of one that is not read, when its turn comes."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What one file may take: seconds until its next document or page (more for large files), and memory."""

    timeout_s: float = 60.0
    memory_mb: float = 2000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How a path is read: options and callbacks as those of `bothways.indexer.read.read`, and the limits of each file.

    `look` is called every tenth of a second while a file is waited for, and raises to end the reading.
    """

    max_file_mb: float
    on_failure: Callable[[Failure], None]
    on_skip: Callable[[str, str], None] = lambda _source, _reason: None
    case_sections: Collection[CaseSection] = CASE_SECTIONS
    limits: ReadLimits = ReadLimits()
    look: Callable[[], None] = lambda: None


def read_in_child(path: Path, how: ReadOptions) -> Generator[Document, None, None]:
    """Read a file, or all files below a folder, as `bothways.indexer.read.read` does, in a process that can be killed.

    Closing the iterator ends the process, if it is at work. Raises `ReaderError` where no process can be started.
    """
    _require(path)
    if os.name == "nt":
        return _here(path, how)
    return _read(path, how, None)


def chunks_in_child(
    path: Path, how: ReadOptions, cut: Cut, on_document: Callable[[], None] = lambda: None
) -> Generator[Chunk, None, None]:
    """Read as `read_in_child` does and cut in that process, too: a document of a million lines takes its time.

    `on_document` is called for each document before its chunks come.
    """
    _require(path)
    if os.name == "nt":
        cut_one = partial(chunk, chunker=cut.chunker, max_chars=cut.max_chars)
        return _chunks((list(cut_one([document])) for document in _here(path, how)), on_document)
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
        for item in _asked_ahead(_items(path, how, cut), reader):
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
    said: list[Callable[[], None]] = []

    def told() -> Iterator[_Item]:
        yield from said
        said.clear()

    for file, relative in walk(
        path,
        on_failure=lambda failure: said.append(partial(how.on_failure, failure)),
        on_skip=lambda item, why: said.append(partial(how.on_skip, item, why)),
    ):
        yield from told()
        if file.suffix.lower() in READERS:
            yield _request(file, relative, how, cut)
        else:
            yield partial(how.on_skip, relative, not_read(file.suffix))
    yield from told()


def _request(file: Path, relative: str, how: ReadOptions, cut: Cut | None) -> Request:
    return Request(
        path=os.path.abspath(file),  # noqa: PTH100 – `resolve` would follow links, and so change the extension
        relative=relative,
        max_file_mb=how.max_file_mb,
        case_sections=tuple(how.case_sections),
        timeout_s=how.limits.timeout_s,
        memory_mb=how.limits.memory_mb,
        cut=cut,
    )


def _asked_ahead(items: Iterator[_Item], reader: Reader) -> Iterator[_Item]:
    """Yield the items in order, each file after it was asked for, with as many behind it as the reader takes."""
    waiting: deque[_Item] = deque()
    while True:
        if reader.takes_more and len(waiting) < AHEAD:
            more = list(islice(items, AHEAD - AHEAD // 2))
            reader.ask([item for item in more if isinstance(item, Request)])
            waiting.extend(more)
        if not waiting:
            return
        yield waiting.popleft()
