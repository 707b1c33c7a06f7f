"""Fixtures of a served collection, for tests of the ways in: import those that are wanted in a conftest."""

from __future__ import annotations

import json
import uuid

import pytest

from bothways.client import Client
from bothways.core.collections.collection import delete_collection
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from tests.api_server import ApiServer, says
from tests.fakes import FixedWriter, make_parts
from tests.llm_server import Scripted

DOCUMENTS = [
    {
        "_id": "leave",
        "title": "请假",
        "text": "员工请假应当提前三天提交申请。",
        "metadata": {"law": "员工手册", "chapter": "第二章", "article": "第八条"},
    },
    {
        "_id": "refund",
        "title": "退货",
        "text": "签收后七天内可以无理由退货。",
        "metadata": {"law": "售后规则", "article": "第三条"},
    },
    {
        "_id": "rescue",
        "title": "救助",
        "text": "因自愿实施紧急救助行为造成受助人损害的，救助人不承担民事责任。",
        "metadata": {"law": "民法典"},
    },
    {"_id": "manual", "title": "手册", "text": "水泵过热时先关闭电源，再检查轴承。"},
]


@pytest.fixture(scope="module")
def module_llm():
    server = Scripted()
    yield server
    server.close()


@pytest.fixture
def llm(module_llm):
    """A language model that says what it is told, `提前三天[1]。` until then."""
    module_llm.script = [says("提前三天[1]。")]
    module_llm.requests.clear()
    return module_llm


@pytest.fixture(scope="module")
def module_server(es, segmenter, tmp_path_factory, module_llm):
    cache = tmp_path_factory.mktemp("cache")
    started = ApiServer(es, segmenter, cache_dir=cache, llm_base_url=module_llm.url, feedback=False)
    yield started
    started.close()


@pytest.fixture
def server(module_server, llm):
    """A server that the tests of a module share."""
    return module_server


@pytest.fixture
def serve(es, segmenter, tmp_path):
    """Start a server of one's own: `serve(**settings)` gives it."""
    running = []

    def start(**options):
        running.append(ApiServer(es, segmenter, cache_dir=tmp_path / "cache", **options))
        return running[-1]

    yield start
    for server in running:
        server.close()


@pytest.fixture(scope="module")
def filled(es, segmenter, tmp_path_factory):
    """A collection of four documents, which tests only read."""
    name = f"test-{uuid.uuid4().hex}"
    path = tmp_path_factory.mktemp("laws") / "c.jsonl"
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in DOCUMENTS), "utf-8")
    index_path(
        path,
        JobOptions(collection=name),
        make_parts(es, segmenter, writer=FixedWriter()),
    )
    yield name
    delete_collection(es[0], name)
    es[0].delete_by_query(
        index="bothways-jobs", query={"term": {"collection": name}}, conflicts="proceed", refresh=True
    )


@pytest.fixture
def client(server):
    with Client(server.url) as opened:
        yield opened
