"""Reading in a process of its own, so that no file ends or blocks the job: the same documents as `read`, in order.

Whatever a file does to that process (it raises, crashes, hangs, fills the memory) is this file's failure, and the
next one is read. A process that has nothing to do is kept for the next job for a short time: starting one takes a
third of a second.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from core.datatypes import CaseSection, Document, Failure
from core.errors import UsageError
from indexer.read import READERS, read
from indexer.read.folder import CASE_SECTIONS, walk
from indexer.read.frames import Request
from indexer.read.other import not_read
from indexer.read.process import Reader

IDLE_S = 30.0
"""So long a process with nothing to do is kept."""

_Item = Request | Callable[[], None]
"""A file to read, or what is to be said of one that is not read, when its turn comes."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What one file may take: seconds until its next document or page (more for large files), and memory."""

    timeout_s: float = 60.0
    memory_mb: float = 2000.0


def read_apart(
    path: Path,
    *,
    max_file_mb: float,
    on_failure: Callable[[Failure], None],
    on_skip: Callable[[str, str], None] = lambda _source, _reason: None,
    case_sections: Collection[CaseSection] = CASE_SECTIONS,
    limits: ReadLimits | None = None,
    look: Callable[[], None] = lambda: None,
) -> Generator[Document, None, None]:
    """Read a file, or all files below a folder, as `indexer.read.read` does, in a process that can be killed.

    `look` is called every tenth of a second while a file is waited for, and raises to end the reading. Closing the
    iterator ends the process, if it is at work. Raises `ReaderError` where no process can be started.
    """
    if not path.exists():
        raise UsageError(f"There is no file or folder {str(path)!r}.")
    if os.name == "nt":
        # Nothing there keeps the limits, so that a process of its own would only cost time.
        here = partial(read, path, max_file_mb=max_file_mb, case_sections=case_sections)
        return _here(here(on_failure=on_failure, on_skip=on_skip))
    limits = limits or ReadLimits()

    def request(file: Path, relative: str) -> Request:
        return Request(
            path=os.path.abspath(file),  # noqa: PTH100 – `resolve` would follow links, and so change the extension
            relative=relative,
            max_file_mb=max_file_mb,
            case_sections=tuple(case_sections),
            timeout_s=limits.timeout_s,
            memory_mb=limits.memory_mb,
        )

    return _read(_items(path, request, on_failure, on_skip), on_failure, on_skip, look)


def _here(documents: Iterator[Document]) -> Generator[Document, None, None]:
    yield from documents


def _items(
    path: Path,
    request: Callable[[Path, str], Request],
    on_failure: Callable[[Failure], None],
    on_skip: Callable[[str, str], None],
) -> Iterator[_Item]:
    said: list[Callable[[], None]] = []

    def told() -> Iterator[_Item]:
        yield from said
        said.clear()

    for file, relative in walk(
        path,
        on_failure=lambda failure: said.append(partial(on_failure, failure)),
        on_skip=lambda item, why: said.append(partial(on_skip, item, why)),
    ):
        yield from told()
        if file.suffix.lower() in READERS:
            yield request(file, relative)
        else:
            yield partial(on_skip, relative, not_read(file.suffix))
    yield from told()


def _read(
    items: Iterator[_Item],
    on_failure: Callable[[Failure], None],
    on_skip: Callable[[str, str], None],
    look: Callable[[], None],
) -> Generator[Document, None, None]:
    with _spares.lent() as reader:
        for item in _asked_ahead(items, reader):
            if not isinstance(item, Request):
                item()
                continue
            for kind, value in reader.answers(look):
                match kind:
                    case "document":
                        yield value
                    case "failure":
                        on_failure(value)
                    case "skip":
                        on_skip(*value)


def _asked_ahead(items: Iterator[_Item], reader: Reader) -> Iterator[_Item]:
    """Yield the items in order, each file after it was asked for, with as many behind it as the reader takes."""
    waiting: deque[_Item] = deque()
    while True:
        while reader.takes_more and (item := next(items, None)) is not None:
            if isinstance(item, Request):
                reader.ask(item)
            waiting.append(item)
        if not waiting:
            return
        yield waiting.popleft()


class _Spares:
    """Processes that have nothing to do at the moment, for whichever job comes next. Thread-safe."""

    def __init__(self) -> None:
        self._idle: list[tuple[float, Reader]] = []
        self._lent: set[Reader] = set()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    @contextmanager
    def lent(self) -> Iterator[Reader]:
        """Give a process for the length of a `with`; one that is still at work after that is ended."""
        reader = self._taken() or Reader()
        with self._lock:
            self._lent.add(reader)
        try:
            yield reader
        finally:
            with self._lock:
                self._lent.discard(reader)
            if reader.is_idle:
                self._keep(reader)
            else:
                reader.close()

    def prepare(self) -> None:
        """Start a process where there is none, so that it is ready when the first file is asked for."""
        with self._lock:
            is_there = bool(self._idle)
        if not is_there:
            self._keep(Reader())

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            all_of_them = [*(reader for _, reader in self._idle), *self._lent]
            self._idle.clear()
        for reader in all_of_them:
            reader.close()

    def forget(self) -> None:
        """Let go of all processes without ending them: after a fork they are the other process's."""
        self._lock = threading.Lock()
        self._timer = None
        for reader in [*(reader for _, reader in self._idle), *self._lent]:
            reader.forget()
        self._idle.clear()
        self._lent.clear()

    def _taken(self) -> Reader | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                _, reader = self._idle.pop()
            if reader.is_idle:
                return reader
            reader.close()  # something has ended it meanwhile

    def _keep(self, reader: Reader) -> None:
        with self._lock:
            self._idle.append((time.monotonic(), reader))
            self._close_later()

    def _close_later(self) -> None:
        """Have the oldest closed when it is old enough (the lock is held)."""
        if self._timer is None and self._idle:
            self._timer = threading.Timer(max(0.0, self._idle[0][0] + IDLE_S - time.monotonic()), self._close_old)
            self._timer.daemon = True
            self._timer.start()

    def _close_old(self) -> None:
        before = time.monotonic() - IDLE_S
        with self._lock:
            old = [reader for since, reader in self._idle if since <= before]
            self._idle = [(since, reader) for since, reader in self._idle if since > before]
            self._timer = None
            self._close_later()
        for reader in old:
            reader.close()


_spares = _Spares()
atexit.register(_spares.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_spares.forget)


def prepare() -> None:
    """Start a process, unless one is there, so that it is ready when the first file is to be read."""
    if os.name != "nt":
        _spares.prepare()


def end_spare_processes() -> None:
    """End the processes that have nothing to do or are at work; what asks for one later gets a new one."""
    _spares.close()
