"""Processes that read and have nothing to do at the moment: kept for a short time, for whichever job comes next."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bothways.indexer.read.child.process import Reader

IDLE_S = 30.0
"""So long a process with nothing to do is kept."""


class ReaderPool:
    """Processes that have nothing to do at the moment, for whichever job comes next. Thread-safe."""

    def __init__(self) -> None:
        self._idle: list[tuple[float, Reader]] = []
        self._lent: set[Reader] = set()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    @contextmanager
    def lent(self) -> Iterator[Reader]:
        """Return a process for the length of a `with`; one that is still at work after that is ended."""
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

    def start_reader(self) -> None:
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
        """Forget all processes without ending them: after a fork they belong to the parent."""
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
        """Start a timer that closes the oldest process (the lock is held)."""
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


pool = ReaderPool()
atexit.register(pool.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.forget)


def start_reader() -> None:
    """Start a process, unless one is there, so that it is ready when the first file is to be read."""
    if os.name != "nt":
        pool.start_reader()


def end_readers() -> None:
    """End all processes, idle or at work; the next job starts a new one."""
    pool.close()
