"""Checks before an archive is unpacked: enough space, and no member that leaves the folder."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

from bothways.core.errors import NodeError


def inside(folder: Path, name: str) -> Path:
    """Return the path of an archive's member below `folder`; raise `NodeError` if it points elsewhere."""
    relative = PurePosixPath(name.replace("\\", "/"))
    depth = 0
    for part in relative.parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            break
    if relative.is_absolute() or depth < 0:
        raise NodeError(f"The archive is not to be trusted: its member {name[:200]!r} points outside of its folder.")
    return folder / relative


def check_space(folder: Path, needed: int) -> None:
    """Raise `NodeError` unless `needed` bytes are free on the disk of `folder`."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise NodeError(
            f"Fetching Elasticsearch needs {needed / 1e9:.1f} GB in {folder}, and {free / 1e9:.1f} GB are free: make"
            " room, or set BOTHWAYS_CACHE_DIR to a folder on a larger disk."
        )
