"""Rows on disk from the moment they are recorded until Elasticsearch has them: bounded, shared, and safe from kill -9.

A process appends to a segment of its own, a JSON line a row, by one `write`: what the system has taken outlives the
process. (It does not outlive a power cut by design: an fsync a search would cost more than the row is worth.) Segments
of a process that died are found by its lock, which died with it, and belong to the next process. Rows are told apart
by their ids, so that a segment may be shipped twice.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from io import FileIO
from pathlib import Path

import orjson
import structlog
from filelock import FileLock, Timeout

from bothways.core.machine.private_files import FILE, open_private, private_folder, private_opener
from bothways.learning.feedback.rows import Row

log = structlog.get_logger()

SEGMENT_BYTES = 1_000_000
"""A segment is closed at this size: what is read into memory, and sent, at once."""
REFUSED_SHARE = 8
"""Refused rows are kept up to the limit divided by this."""
_COMPLAIN_EVERY_S = 60.0


class Spool:
    """The rows below a folder. `limit` is in bytes, for all processes together; more is dropped and told to `dropped`.

    Thread-safe. Takes rows from `open` to `close`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limit: int,
        segment_bytes: int = SEGMENT_BYTES,
        dropped: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.limit = limit
        self._segment_bytes = segment_bytes
        self._dropped = dropped
        self._clock = clock
        self._lock = threading.Lock()
        self._owner: FileLock | None = None
        self._name = ""
        self._number = 0
        self._file: FileIO | None = None
        self._size = 0
        self._bytes = 0
        self._unsaid = 0
        self._said_at = float("-inf")

    def open(self) -> None:
        """Begin to take rows; raises `OSError` where the folder cannot be used."""
        private_folder(self.folder)
        with self._lock:
            self._name = f"{time.time_ns():x}-{secrets.token_hex(4)}"
            self._number = 0
            self._owner = self._lock_of(self._name)
            self._owner.acquire(timeout=0)
            self._bytes = _size_of(self.folder.glob("*.jsonl"))

    def close(self) -> None:
        """Take no more; what is left is for the next process."""
        with self._lock:
            self._end_segment()
            if self._owner is not None:
                self._owner.release()
                _remove(self._path("lock"))
                self._owner = None

    @property
    def size(self) -> int:
        """Bytes that wait to be shipped, as of the last look."""
        return self._bytes

    def append(self, row: Row) -> bool:
        """Put a row on disk; False where it was dropped, since there is no room or the disk failed."""
        try:
            line = orjson.dumps(
                {"_id": row.id, "_source": row.source}, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
            )
        except orjson.JSONEncodeError as error:
            return self._drop(f"it is not JSON ({error})")
        with self._lock:
            if self._owner is None:
                return self._drop("the server ends")
            if self._bytes + len(line) > self.limit:
                return self._drop(f"{self._bytes:,} bytes wait in {self.folder}")
            try:
                file = self._file or self._begin_segment()
                taken = file.write(line)
            except OSError as error:
                self._undo()
                return self._drop(str(error))
            if taken != len(line):
                self._undo()
                return self._drop(f"the disk of {self.folder} is full")
            self._size += len(line)
            self._bytes += len(line)
            if self._size >= self._segment_bytes:
                self._end_segment()
        return True

    def waiting(self) -> list[Path]:
        """Close the segment that is open, and list all segments that are this process's to ship, oldest first.

        Raises `OSError` where the folder cannot be read.
        """
        with self._lock:
            self._end_segment()
            ready = self._number
        found = sorted(self.folder.glob("*.jsonl"))
        with self._lock:
            # Other processes add and remove, too; what this one has begun meanwhile is not among the found.
            self._bytes = _size_of(found) + (self._size if self._number > ready else 0)
        dead = {name for name in {_name_of(path) for path in found} - {self._name} if self._is_dead(name)}
        return [path for path in found if self._is_ours(path, ready) or _name_of(path) in dead]

    @staticmethod
    def read(path: Path) -> tuple[list[Row], int]:
        """Read a segment's rows, and count lines that are none: a process died, or the disk failed, in the middle."""
        rows, torn = [], 0
        for line in path.read_bytes().splitlines():
            try:
                read = orjson.loads(line)
                rows.append(Row(read["_id"], read["_source"]))
            except (orjson.JSONDecodeError, KeyError, TypeError):
                torn += 1
        return rows, torn

    def discard(self, path: Path) -> None:
        """Remove a segment that is shipped."""
        size = _size_of([path])
        _remove(path)
        with self._lock:
            self._bytes = max(self._bytes - size, 0)

    def refuse(self, rows: Sequence[tuple[Row, str]]) -> None:
        """Keep rows that Elasticsearch will not have, each with its reason, for people to read."""
        kept = _size_of(self.folder.glob("*.refused"))
        lines = [orjson.dumps({"reason": why, "_id": row.id, "_source": row.source}) + b"\n" for row, why in rows]
        if lines and kept + sum(map(len, lines)) <= self.limit // REFUSED_SHARE:
            with open_private(self._path("refused"), "ab") as file:
                file.writelines(lines)

    def _begin_segment(self) -> FileIO:
        self._number += 1
        self._size = 0
        # Unbuffered: a write is over when the system has it.
        self._file = FileIO(self._path(f"{self._number:08d}.jsonl"), "ab", opener=private_opener)
        return self._file

    def _end_segment(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _undo(self) -> None:
        """Take a half-written line back; where even that fails, the segment ends with it, and reading skips it."""
        if self._file is None:
            return
        try:
            self._file.truncate(self._size)
        except OSError:
            self._end_segment()

    def _drop(self, why: str) -> bool:
        self._dropped(1)
        self._unsaid += 1
        if self._clock() - self._said_at >= _COMPLAIN_EVERY_S:
            log.warning("feedback_dropped", rows=self._unsaid, reason=why)
            self._unsaid, self._said_at = 0, self._clock()
        return False

    def _is_ours(self, path: Path, ready: int) -> bool:
        name, number, _ = path.name.split(".")
        return name == self._name and int(number) <= ready

    def _is_dead(self, name: str) -> bool:
        """Return whether nobody holds a name any more. Two may find out at once: both ship, and the ids tell."""
        lock = self._lock_of(name)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        lock.release()
        _remove(Path(lock.lock_file))
        return True

    def _path(self, suffix: str) -> Path:
        return self.folder / f"{self._name}.{suffix}"

    def _lock_of(self, name: str) -> FileLock:
        return FileLock(self.folder / f"{name}.lock", thread_local=False, mode=FILE)


def waiting_in(folder: Path) -> int:
    """Return the bytes that wait in a spool's folder, of all processes."""
    return _size_of(folder.glob("*.jsonl"))


def refused_in(folder: Path) -> int:
    """Count the rows that are kept in a spool's folder because Elasticsearch would not have them."""
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*.refused"))


def _name_of(path: Path) -> str:
    return path.name.split(".")[0]


def _size_of(paths: Iterable[Path]) -> int:
    total = 0
    for path in paths:
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue  # another process has shipped it meanwhile
    return total


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
