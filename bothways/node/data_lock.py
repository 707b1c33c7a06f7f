"""Whether an Elasticsearch uses a data folder, by the lock that it holds there while it runs."""

from __future__ import annotations

import sys
from pathlib import Path

from bothways.core.errors import NodeError

NAME = "node.lock"
"""Elasticsearch's lock file in its data folder; the lock on it goes with the process that holds it."""


def require_unused(data: Path) -> None:
    """Raise `NodeError` if a running Elasticsearch holds the lock of a data folder.

    The file with the node's process may be lost while the node runs, so it is no proof.
    """
    if sys.platform == "win32":
        return  # files that are in use cannot be removed there
    import fcntl

    try:
        with (data / NAME).open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return
    except BlockingIOError as error:
        raise NodeError(
            f"An Elasticsearch still uses {data}, and `bothways es status` does not know it: nothing was removed. "
            "Stop that process, then run this again."
        ) from error
