"""Uploaded files on disk, from the moment they are received until they are indexed: a restart loses none.

Below one folder: `incoming/` is being received, `queue/` waits or runs, `kept/` did not succeed and can be retried. A
job's folder is named by its id and moves from one to the next by a rename, so it is never half there. While it is being
received its server holds a lock beside it, so that one that starts knows what a dead server left. Names that come from
outside name files only after `safe_name` has been over them.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import structlog
from filelock import FileLock, Timeout

from bothways.core.errors import StorageFullError, UsageError
from bothways.core.machine.private_files import FILE, open_private, private_folder, to_disk, write_private
from bothways.core.text.valid import valid_text
from bothways.indexer.jobs.store import is_id

log = structlog.get_logger()

KEPT_DAYS = 7
"""How long the files of an upload that did not succeed can be retried."""
_HALF_RECEIVED_S = 86_400.0
_MAX_NAME_BYTES = 200
_NOTE = "upload.json"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One upload on disk: the id of its job, its collection, its files' folder, and how often it was begun."""

    id: str
    collection: str
    folder: Path
    attempts: int = 0


def safe_name(given: str) -> str:
    """Make the name of a file from one that came from outside: its last part, no control characters, not hidden.

    Raises `UsageError` where nothing is left of it.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", valid_text(given)))[-1]
    name = "".join(char if char.isprintable() else "_" for char in last).strip().lstrip(".").strip()
    if not name:
        raise UsageError(f"{given[:80]!r} cannot be the name of a file.")
    if len(name.encode()) > _MAX_NAME_BYTES:
        stem, dot, suffix = name.rpartition(".")
        digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:8]
        kept = (stem if dot else name).encode()[: _MAX_NAME_BYTES // 2].decode(errors="ignore")
        name = f"{kept}-{digest}{dot}{suffix[:20]}" if dot else f"{kept}-{digest}"
    return name


class Incoming:
    """An upload that is being received: files are added, then it is all there or nothing is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, str] = {}

    def all_there(self) -> None:
        """Note that no file follows: from now on a server that starts after a crash goes on with the upload."""
        note = json.loads((self._folder.parent / _NOTE).read_text(encoding="utf-8"))
        _write_note(self._folder.parent, {**note, "all_there": True})

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the files so far, in order."""
        return tuple(self._names.values())

    def add(self, given: str, content: IO[bytes]) -> str:
        """Write one file; returns the name that it is known by. A second one of that name is a `UsageError`."""
        name = safe_name(given)
        # Compared as a file system that does not tell capitals apart would.
        if name.casefold() in self._names:
            raise UsageError(f"Two files of the upload have the name {name[:80]!r}.")
        self._names[name.casefold()] = name
        with open_private(self._folder / name, "xb") as file:
            shutil.copyfileobj(content, file, 1024 * 1024)
            to_disk(file)
        return name


class Spool:
    """The uploads below a folder. Raises `StorageFullError` where the disk is full."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._incoming = folder / "incoming"
        self._queue = folder / "queue"
        self._kept = folder / "kept"

    @contextmanager
    def receive(self, job_id: str, collection: str) -> Iterator[Incoming]:
        """Take files in; they are in the queue when the `with` ends well, and gone when it does not."""
        place = self._incoming / _checked(job_id)
        with room_for(self.folder):
            private_folder(self.folder)
            private_folder(self._incoming)
            try:
                with self._received(job_id):
                    private_folder(place / "files")
                    _write_note(place, {"collection": collection, "attempts": 0})
                    yield Incoming(place / "files")
                    self._to_queue(place)
            finally:
                shutil.rmtree(place, ignore_errors=True)
                self._lock_of(job_id).unlink(missing_ok=True)

    @property
    def name(self) -> str:
        """What records name this folder by, on whichever machine and in whichever container: made once."""
        path = self.folder / "name"
        if not path.exists():
            with room_for(self.folder):
                made = write_private(private_folder(self.folder) / f"name.{secrets.token_hex(8)}", secrets.token_hex(8))
                with suppress(FileExistsError):  # another server was faster
                    path.hardlink_to(made)
                made.unlink()
        return path.read_text(encoding="ascii")

    def holds(self, job_id: str) -> bool:
        """Return whether files of a job are here, in whichever state."""
        return any((folder / job_id).is_dir() for folder in (self._incoming, self._queue, self._kept))

    def waiting(self) -> list[Upload]:
        """List what is to be indexed, oldest first."""
        return [upload for path in sorted(_below(self._queue)) if (upload := _read(path)) is not None]

    def note(self, upload: Upload, *, attempts: int) -> None:
        """Note how often an upload was begun, so that one that crashes the process is not begun for ever."""
        with room_for(self.folder):
            _write_note(self._queue / upload.id, {"collection": upload.collection, "attempts": attempts})

    def discard(self, upload: Upload) -> None:
        """Remove an upload that is indexed."""
        shutil.rmtree(self._queue / upload.id, ignore_errors=True)

    def keep(self, upload: Upload) -> None:
        """Keep the files of an upload that did not succeed, for a retry."""
        private_folder(self._kept)
        target = self._kept / upload.id
        (self._queue / upload.id).replace(target)
        os.utime(target)

    def has_kept(self, job_id: str, *, within_s: float = 0.0) -> bool:
        """Return whether the files of a job are there to be retried, or will be within so many seconds."""
        if not is_id(job_id):
            return False
        deadline = time.monotonic() + within_s
        while (self._queue / job_id).is_dir() and time.monotonic() < deadline:
            time.sleep(0.02)
        return (self._kept / job_id).is_dir()

    def again(self, job_id: str, new_id: str) -> None:
        """Queue the files of a job that did not succeed, as another job's."""
        kept = self._kept / _checked(job_id)
        note = _read(kept)
        if note is None:
            raise UsageError(f"The files of the job {job_id} are not kept any more: upload them again.")
        with room_for(self.folder):
            _write_note(kept, {"collection": note.collection, "attempts": 0})
            private_folder(self._queue)
            kept.replace(self._queue / _checked(new_id))

    def sweep(self) -> None:
        """Clear up after servers that died: complete uploads go into the queue, incomplete ones are removed.

        What a living server of this machine is receiving is left alone. Failed uploads go after some days, and
        a warning names their files, which are nowhere else here.
        """
        for lock in self._incoming.glob("*.lock"):
            with suppress(Timeout), FileLock(lock, timeout=0, mode=FILE):
                self._take_over(self._incoming / lock.stem)
                lock.unlink(missing_ok=True)
        now = time.time()
        for folder, age in ((self._incoming, _HALF_RECEIVED_S), (self._kept, KEPT_DAYS * 86_400.0)):
            for path in _below(folder):
                if path.stat().st_mtime < now - age and not self._lock_of(path.name).exists():
                    if folder == self._kept:
                        names = sorted(file.name for file in (path / "files").glob("*"))
                        log.warning("failed_upload_removed", job=path.name, files=names, kept_days=KEPT_DAYS)
                    shutil.rmtree(path, ignore_errors=True)

    def _take_over(self, place: Path) -> None:
        """Queue an upload whose server is dead if all of it was received; else remove it."""
        note = _note_of(place)
        if note is not None and note.get("all_there"):
            with room_for(self.folder):
                self._to_queue(place)
        else:
            shutil.rmtree(place, ignore_errors=True)

    def _to_queue(self, place: Path) -> None:
        private_folder(self._queue)
        place.replace(self._queue / place.name)
        _folder_to_disk(self._queue)

    def _lock_of(self, job_id: str) -> Path:
        """Return the file that its receiver holds a lock on: a dead process holds none, in whichever container."""
        return self._incoming / f"{job_id}.lock"

    def _received(self, job_id: str) -> FileLock:
        # Not at once: a server that starts may look at it just now.
        return FileLock(self._lock_of(job_id), timeout=5, mode=FILE)


def _checked(job_id: str) -> str:
    if not is_id(job_id):
        raise UsageError(f"{job_id[:80]!r} is not the id of a job.")
    return job_id


def _below(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if is_id(path.name)] if folder.is_dir() else []


def _read(path: Path) -> Upload | None:
    note = _note_of(path)
    return (
        None
        if note is None
        else Upload(id=path.name, collection=note["collection"], folder=path / "files", attempts=note["attempts"])
    )


def _note_of(path: Path) -> dict[str, Any] | None:
    try:
        note: dict[str, Any] = json.loads((path / _NOTE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return note


def _write_note(place: Path, note: dict[str, Any]) -> None:
    """Write atomically: a process that dies in the middle leaves the note of before."""
    write_private(place / _NOTE, json.dumps(note), durable=True)


def _folder_to_disk(folder: Path) -> None:
    """Make a rename last through a power cut, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def room_for(folder: Path) -> Iterator[None]:
    """Turn "no space left" into a `StorageFullError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise StorageFullError(
            f"The disk of {folder} is full, so the upload was not taken: make room on the server, then send it again."
        ) from error
