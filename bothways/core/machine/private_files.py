"""Files and folders that only their owner can read, whatever the umask is: they hold documents, questions, secrets."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

FILE = 0o600
FOLDER = 0o700


def private_folder(path: Path, *, narrow: bool = True) -> Path:
    """Make a folder, and those above it that are missing, for their owner alone.

    An existing one is narrowed if it is ours; with `narrow=False`, for folders that users name (`--out`), it is left.
    """
    if not path.is_dir():
        private_folder(path.parent, narrow=False)
        path.mkdir(mode=FOLDER, exist_ok=True)
    elif narrow:
        narrow_mode(path, FOLDER)
    return path


def private_file(path: Path) -> Path:
    """Make an empty file if there is none, and narrow its mode if others may read it."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE))
    narrow_mode(path, FILE)
    return path


def open_private(path: Path, mode: str = "w", **options: Any) -> IO[Any]:  # noqa: ANN401
    """Open a file to write, as `Path.open` does; a new one is its owner's alone, an existing one becomes so."""
    opened: IO[Any] = open(path, mode, opener=private_opener, **options)  # noqa: SIM115 (`Path.open` has no opener)
    return opened


def write_private(path: Path, content: str | bytes | Iterable[str], *, durable: bool = False) -> Path:
    """Write a whole file for its owner alone: readers see the old content or the new one, never a part of it.

    `content` may come as lines, with their line ends, and is written as it comes. A `durable` file outlives a power
    cut.
    """
    with _replacing(path) as new, new.open("wb") as file:
        parts = [content] if isinstance(content, (str, bytes)) else content
        file.writelines(part.encode() if isinstance(part, str) else part for part in parts)
        if durable:
            to_disk(file)
    return path


def write_shared(path: Path, content: str) -> Path:
    """Write a whole file that others read, as `write_private` does; it keeps its owner and permissions.

    A new one is readable for everybody and belongs to the owner of its folder. It outlives a power cut.
    """
    known = path.stat() if path.exists() else None
    owner = known or path.parent.stat()
    with _replacing(path) as new:
        with new.open("w", encoding="utf-8") as file:
            file.write(content)
            to_disk(file)
        new.chmod(known.st_mode & 0o7777 if known else 0o644)
        if (owner.st_uid, owner.st_gid) != (new.stat().st_uid, new.stat().st_gid):
            os.chown(new, owner.st_uid, owner.st_gid)
    return path


def to_disk(file: IO[Any]) -> None:
    """Wait until what was written to an open file outlives a power cut."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Return an empty file beside `path`, its owner's alone, which takes its name when the body ends well."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def write_json(path: Path, content: object, *, indent: int | None = 1) -> Path:
    """Write JSON as `write_private` does, with a line end behind it."""
    return write_private(path, json.dumps(content, ensure_ascii=False, indent=indent) + "\n")


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Make the folder `target` whole or not at all: the body fills the folder that it is given, beside `target`.

    When the body ends, the folder takes its name; when it fails, what it wrote is removed, as is what an earlier
    process left that was killed. Callers hold a lock where two processes may make the same folder.
    """
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def private_umask() -> Iterator[None]:
    """Have all that is made meanwhile be its owner's alone: for libraries that open their files themselves.

    The umask is the process's: other threads make private files meanwhile, too, which does no harm.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def narrow_mode(path: Path, mode: int) -> None:
    """Take from a file or folder what `mode` does not allow, if it is ours (root may narrow everybody's)."""
    info = path.stat()
    found = stat.S_IMODE(info.st_mode)
    if found & ~mode & 0o777 and hasattr(os, "geteuid") and os.geteuid() == info.st_uid:
        path.chmod(found & (mode | 0o7000))


def private_opener(path: str, flags: int) -> int:
    """Open a file for its owner alone: the `opener` of `open` and `FileIO`."""
    handle = os.open(path, flags, FILE)
    if hasattr(os, "fchmod") and os.fstat(handle).st_mode & 0o077 and os.fstat(handle).st_uid == os.geteuid():
        os.fchmod(handle, FILE)
    return handle
