"""Why a file or a record in it could not be read, in one sentence each."""

from __future__ import annotations

from bothways.core.errors import ReadError
from bothways.indexer.read.files.folder import Source

MAX_FAILURES = 1_000
MAX_NOTES = 20
_MAX_CHARS = 200


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
        """Report once what is left out of records that are used."""
        if reason not in self._notes and len(self._notes) < MAX_NOTES:
            self._notes.add(reason)
            self._source.on_skip(self._source.relative, reason)

    def end(self) -> None:
        """Return how many failures were not told one by one."""
        if self._failures > MAX_FAILURES:
            self._source.fail(f"{self._failures - MAX_FAILURES:,} more {self._what} cannot be used either.")


def reason_of(error: BaseException) -> str:
    """Return the reason for people: our own sentence, or the error's class and the start of its message."""
    match error:
        case ReadError():
            return str(error)
        case OSError():
            return f"The file cannot be opened: {error.strerror or error}."
        case RecursionError():
            return f"The file is nested too deeply to be read: {error}."
        case MemoryError():
            return "Reading the file takes more memory than it may, or than the machine has."
        case _:
            what = " ".join(str(error).split())[:_MAX_CHARS].rstrip(".")
            kind = type(error).__name__
            return f"The file cannot be read: {kind}: {what}." if what else f"The file cannot be read: {kind}."
