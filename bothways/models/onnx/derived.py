"""Graphs that are made of others once and kept in the cache: cut down, or with 8-bit weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import structlog
from filelock import FileLock

from bothways.core.machine.private_files import FILE, private_folder

log = structlog.get_logger(__name__)


def derived_graph(path: Path, name: str, write: Callable[[Path, Path], None], *, cache_dir: Path) -> Path:
    """Return the file `name` that `write(path, file)` makes of the graph at `path`, whole or not at all.

    It lies beside a graph that was exported into the cache, else in a folder of its own there: the user's or the hub's
    folder stays as it is. A graph that has changed gets another folder. Two processes that start together make it once.
    """
    target = _folder(path, cache_dir / "models" / "exported") / name
    if target.is_file():
        return target
    private_folder(target.parent, narrow=False)
    with FileLock(target.with_name(f".{name}.lock"), mode=FILE):
        if not target.is_file():
            log.info("model.derive", graph=str(path), target=str(target))
            part = target.with_name(f".{name}.{os.getpid()}")
            try:
                write(path, part)
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
    return target


def _folder(path: Path, exported: Path) -> Path:
    if path.is_relative_to(exported):
        return path.parent  # it is named after the weights that the graph was made of
    stat = path.stat()
    facts = repr((str(path), stat.st_size, stat.st_mtime_ns))
    model = path.parent.parent if path.parent.name == "onnx" else path.parent
    return exported / f"{model.name}-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"
