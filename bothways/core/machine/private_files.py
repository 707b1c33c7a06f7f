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
    """Make a file with nothing in it where there is none, and narrow it where others may read it."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE))
    narrow_mode(path, FILE)
    return path


def open_private(path: Path, mode: str = "w", **options: Any) -> IO[Any]:  # noqa: ANN401
    """Open a file to write, as `Path.open` does; a new one is its owner's alone, an existing one becomes so."""
    opened: IO[Any] = open(path, mode, opener=private_opener, **options)  # noqa: SIM115 (`Path.open` has no opener)
    return opened


def write_private(path: Path, content: str | bytes | Iterable[str]) -> Path:
    """Write a whole file for its owner alone: readers see the old content or the new one, never a part of it.

    `content` may come as lines, with their line ends, and is written as it comes.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            parts = [content] if isinstance(content, (str, bytes)) else content
            file.writelines(part.encode() if isinstance(part, str) else part for part in parts)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


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
