"""Reasons in a file of many records: a million broken lines are told as a thousand and a number."""

from __future__ import annotations

from bothways.indexer.read.files.folder import Source

MAX_FAILURES = 1_000
MAX_NOTES = 20


class Reasons:
    """What is wrong with the records of one file, told as it comes and counted where it becomes too much."""

    def __init__(self, source: Source, what: str) -> None:
        self._source = source
        self._what = what
        self._failures = 0
        self._notes: set[str] = set()

    def fail(self, reason: str) -> None:
        """Report one record that cannot be used."""
        self._failures += 1
        if self._failures <= MAX_FAILURES:
            self._source.fail(reason)

    def note(self, reason: str) -> None:
        """Say once what is left out of records that are used."""
        if reason not in self._notes and len(self._notes) < MAX_NOTES:
            self._notes.add(reason)
            self._source.on_skip(self._source.relative, reason)

    def end(self) -> None:
        """Say how many failures were not told one by one."""
        if self._failures > MAX_FAILURES:
            self._source.fail(f"{self._failures - MAX_FAILURES:,} more {self._what} cannot be used either.")
