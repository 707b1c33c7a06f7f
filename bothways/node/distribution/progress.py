"""The progress of a download: a bar in a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

ShowProgress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Opened with a name and the size in bytes (0: unknown); the result is called with the bytes that arrived."""

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def show_progress(name: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a download on stderr."""
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(name, total=total or None)
            yield lambda count: bar.advance(task, count)
        return
    yield _Lines(name, total).add


class _Lines:
    """Writes a line at the start and then every few seconds."""

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total, self._done = name, total, 0
        self._next = time.monotonic() + _SECONDS_BETWEEN_LINES
        self._say(f"fetching {name}" + (f", {total / 1e6:,.0f} MB" if total else ""))

    def add(self, count: int) -> None:
        self._done += count
        if time.monotonic() >= self._next:
            self._next += _SECONDS_BETWEEN_LINES
            self._say(f"{self._name}: {self._done / 1e6:,.0f} of {self._total / 1e6:,.0f} MB")

    @staticmethod
    def _say(line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
