"""Tests of two processes that share one Elasticsearch: those marked `undisturbed` run while the other process waits.

Whoever lists collections wakes the killed build of another test; most tests mind nothing of the kind and run together.
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from pathlib import Path

import pytest

_FOLDER = pytest.StashKey[Path]()


def pytest_configure(config):
    """Note the folder that the processes share, where there are several."""
    if folder := getattr(config, "workerinput", {}).get("turns"):
        config.stash[_FOLDER] = Path(folder)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Run a test, its fixtures with it, in its turn."""
    folder = item.config.stash.get(_FOLDER, None)
    if folder is None:
        return (yield)
    with _turn(folder, alone=item.get_closest_marker("undisturbed") is not None):
        return (yield)


@contextmanager
def _turn(folder, *, alone):
    """Take the room for oneself, or together with others; the door keeps those who come later from going first."""
    with (folder / "room").open("w") as room:
        with (folder / "door").open("w") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
