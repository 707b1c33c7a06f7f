"""A node beside the one of the run, for tests that break, fill or restart it."""

from __future__ import annotations

import shutil
import socket
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bothways.core.errors import NodeError
from bothways.core.settings import load_settings
from bothways.node import fetch_distribution, find_jdk, purge
from bothways.node.place import find_place


@pytest.fixture(scope="module")
def home():
    """The distribution of the default cache folder, never fetched twice."""
    try:
        base = find_place(load_settings().cache_dir).base
        find_jdk()
        return fetch_distribution(base)
    except NodeError as error:
        pytest.skip(f"no local node on this machine: {error}")


@contextmanager
def own_place():
    """Give settings with a cache folder that any user can enter, unlike pytest's own, and a port of its own."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="bothways-"))
    folder.chmod(0o755)
    chosen = load_settings(cache_dir=folder, es_port=port, es_heap="512m")
    # What leads to the node of the run leads to no other.
    settings = chosen.model_copy(update=dict.fromkeys(("es_url", "es_user", "es_password", "es_api_key")))
    try:
        yield settings
    finally:
        purge(settings)
        shutil.rmtree(folder)
