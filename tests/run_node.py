"""The Elasticsearch of a run of tests: the one that is set, else (`--own-node`, as in `make test`) one of its own.

Its own node has a free port, a data folder and a cache folder that nothing else uses, so that neither disturbs the
other: a developer who searches on 9200, and tests that list, fill and delete. Without `--own-node` a node that
`bothways es up` has left running is taken, which spares the half minute that a new one needs.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bothways.core.analysis import load_segmenter, segment_synonyms
from bothways.core.settings import load_settings
from bothways.core.synonyms import read_synonyms
from bothways.node import docker_available, fetch_distribution, find_login, resolve_url, up
from bothways.node.place import find_place

KEPT_OF_THE_CACHE = ("models", "jieba")
"""What a run shares with the cache folder of the user: it is fetched or computed once and only read then."""

_REMOVE = """
import shutil, sys
from pathlib import Path
from bothways.core.settings import load_settings
from bothways.node import purge
from bothways.node.place import find_place
sys.stdin.read()
chosen = load_settings(cache_dir=Path(sys.argv[1]), es_url=None)
purge(chosen)
shutil.rmtree(find_place(chosen.cache_dir).node, ignore_errors=True)
shutil.rmtree(chosen.cache_dir)
"""


class Node(NamedTuple):
    """The Elasticsearch of a run: its user and password, if any, the rules' folder of a container, its cache folder."""

    url: str
    login: tuple[str, str] | None = None
    analysis: str | None = None
    cache_dir: str | None = None

    def enter(self):
        """Have whoever is given the address get in: tests with cache folders of their own find no password there."""
        if self.login:
            os.environ["BOTHWAYS_ES_USER"], os.environ["BOTHWAYS_ES_PASSWORD"] = self.login
        if self.cache_dir:
            os.environ["BOTHWAYS_CACHE_DIR"] = self.cache_dir


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def elasticsearch(*, own):
    """Give the `Node` of the run, in the contract's order."""
    chosen = load_settings()
    url = chosen.es_url if own else resolve_url(chosen)
    if url:
        yield Node(url, _login(chosen, url))
    elif docker_available():
        from tests.container import elasticsearch_container

        with elasticsearch_container(_rules()(read_synonyms(chosen))) as (url, analysis):
            yield Node(url, analysis=str(analysis))
    else:
        with _own_node(chosen) as node:
            yield node


def _rules():
    return partial(segment_synonyms, segmenter=load_segmenter(load_settings()))


@contextmanager
def _own_node(usual):
    home = fetch_distribution(find_place(usual.cache_dir).base)
    folder = Path(tempfile.mkdtemp(prefix="bothways-tests-"))
    for name in KEPT_OF_THE_CACHE:
        (usual.cache_dir / name).mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(usual.cache_dir / name)
    # A process of its own ends the node when its input closes: also where this one is killed.
    command = [sys.executable, "-c", _REMOVE, str(folder)]
    remover = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        chosen = load_settings(cache_dir=folder, es_port=free_port())
        url = up(chosen, prepare=_rules(), home=home, kind="local").url
        yield Node(url, _login(chosen, url), cache_dir=str(folder))
    finally:
        remover.communicate()


def _login(chosen, url):
    login = find_login(chosen, url)
    return (login.user, login.password) if login else None
