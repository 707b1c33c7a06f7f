"""Every route while Elasticsearch is in every kind of trouble: which status, in which form, and when to come again."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient

from bothways.api.app import create_app
from bothways.core.settings import load_settings
from bothways.indexer.job import index_path
from bothways.indexer.jobs.store import Job, JobStore, new_id
from bothways.indexer.parts import JobOptions
from bothways.node.connect import connect
from bothways.search.pipeline import Searcher
from tests.es_proxy import TROUBLES, Proxy
from tests.fakes import FixedWriter, HashEncoder, make_parts
from tests.full_disk import full_disk
from tests.llm_server import Scripted

pytestmark = pytest.mark.elasticsearch

JOB = new_id()
ROUTES = {
    "search": ("POST", "/api/v1/search", {"query": "请假", "collection": "{c}", "strategy": "hybrid"}),
    "search by words": ("POST", "/api/v1/search", {"query": "请假", "collection": "{c}", "strategy": "bm25"}),
    "ask": ("POST", "/api/v1/ask", {"query": "请假", "collection": "{c}"}),
    "ask streamed": ("POST", "/api/v1/ask", {"query": "请假", "collection": "{c}", "stream": True}),
    "ask plainly": ("POST", "/ask", {"query": "请假"}),
    "chat": ("POST", "/v1/chat/completions", {"model": "{c}", "messages": [{"role": "user", "content": "请假"}]}),
    "models": ("GET", "/v1/models", None),
    "model": ("GET", "/v1/models/{c}", None),
    "collections": ("GET", "/api/v1/collections", None),
    "collection": ("GET", "/api/v1/collections/{c}", None),
    "acl": ("PUT", "/api/v1/collections/{c}/acl", {"field": "area"}),
    "rollback": ("POST", "/api/v1/collections/{c}/rollback", None),
    "delete collection": ("DELETE", "/api/v1/collections/{c}", None),
    "upload": ("POST", "/api/v1/collections/{c}/documents", {"documents": [{"id": "new", "text": "新的。"}]}),
    "documents": ("GET", "/api/v1/collections/{c}/documents", None),
    "document": ("GET", "/api/v1/collections/{c}/documents/leave", None),
    "delete document": ("DELETE", "/api/v1/collections/{c}/documents/leave", None),
    "jobs": ("GET", "/api/v1/jobs", None),
    "job": ("GET", f"/api/v1/jobs/{JOB}", None),
    "cancel": ("DELETE", f"/api/v1/jobs/{JOB}", None),
    "retry": ("POST", f"/api/v1/jobs/{JOB}/retry", None),
    "ready": ("GET", "/health/ready", None),
}


@pytest.fixture(scope="module")
def troubled(es, es_url, segmenter, tmp_path_factory):
    """An API behind a proxy, with a collection: gives the proxy, what serves it (by trouble), and its name."""
    client, server = es
    name = f"test-{uuid.uuid4().hex}"
    folder = tmp_path_factory.mktemp("troubles")
    rows = [{"_id": "leave", "title": "请假", "text": "员工请假应当提前三天提交申请。", "metadata": {"area": "hr"}}]
    (folder / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    index_path(
        folder,
        JobOptions(collection=name),
        make_parts((client, server), segmenter, writer=FixedWriter()),
    )
    JobStore(client).create(Job(id=JOB, collection=name, kind="upload", state="failed"))
    proxy = Proxy(es_url.rstrip("/"))
    llm = Scripted()

    def serve(es_timeout_s, search_timeout_ms):
        behind, _ = connect(load_settings(es_url=proxy.url, es_timeout_s=es_timeout_s))

        def build(_):
            searcher = Searcher(
                behind, segmenter, HashEncoder, embedding_model="fake/hash", timeout_ms=search_timeout_ms
            )
            return searcher, server

        chosen = load_settings(
            cache_dir=folder / "cache",
            search_timeout_ms=search_timeout_ms,
            ask_collection=name,
            llm_base_url=llm.url,
            llm_model="fake",
        )
        return TestClient(create_app(chosen, build), base_url="http://localhost", raise_server_exceptions=False)

    clients = {"hang": serve(0.3, 100)}
    usual = serve(20, 20_000)
    yield proxy, lambda trouble="": clients.get(trouble, usual), name
    proxy.close()
    llm.close()
    for http in (*clients.values(), usual):
        http.app.state.searcher().client.close()
    client.indices.delete(index=f"bothways-{name}-v1")
    client.delete_by_query(index="bothways-jobs", query={"term": {"collection": name}}, refresh=True)


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("route", ROUTES)
def test_every_route_says_what_is_the_matter_and_when_to_come_again(troubled, route, trouble, monkeypatch):
    monkeypatch.setattr("bothways.indexer.run.BRIEF_S", 0.3 if trouble == "hang" else 20)
    proxy, served, name = troubled
    http = served(trouble)
    method, path, body = ROUTES[route]
    body = json.loads(json.dumps(body).replace("{c}", name))
    http.app.state.searcher().versions.forget(name)
    proxy.trouble = trouble
    try:
        answer = http.request(method, path.replace("{c}", name), json=body)
    finally:
        proxy.trouble = ""
    if trouble == "broken json":
        assert answer.status_code == (503 if route == "ready" else 502), answer.text
    else:
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) > 0
    if path.startswith("/v1"):
        said = answer.json()["error"]["message"]
    else:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
        said = answer.json()["detail"]
    assert "Elasticsearch" in said
    assert "<html>" not in said
    assert len(said) < 500


def test_readiness_follows_what_searches_meet(troubled):
    proxy, served, name = troubled
    http = served()
    asked = {"query": "请假", "collection": name, "strategy": "hybrid"}
    assert http.post("/api/v1/search", json=asked).status_code == 200
    proxy.meets = lambda _method, path: "_msearch" in path
    proxy.trouble = "503"
    try:
        assert http.get("/health/ready").status_code == 200  # nobody has met it
        assert http.post("/api/v1/search", json=asked).status_code == 503
        unready = http.get("/health/ready")
        assert (unready.status_code, unready.headers["content-type"]) == (503, "application/problem+json")
        assert "trouble 503" in unready.json()["detail"]
    finally:
        proxy.trouble = ""
        proxy.meets = lambda _method, _path: True
    assert http.get("/health/ready").status_code == 200
    assert http.post("/api/v1/search", json=asked).status_code == 200


def test_a_collection_that_was_removed_makes_nothing_unready(troubled):
    http = troubled[1]()
    assert http.post("/api/v1/search", json={"query": "请假", "collection": "nobody-has-this"}).status_code == 404
    assert http.get("/health/ready").status_code == 200


@contextmanager
def read_only(client, index):
    client.indices.put_settings(index=index, settings={"index.blocks.write": True})
    try:
        yield
    finally:
        client.indices.put_settings(index=index, settings={"index.blocks.write": None})


@pytest.mark.parametrize(
    ("blocked", "status", "says"), [(full_disk, 507, "Make room"), (read_only, 409, "Remove the block")]
)
def test_an_index_that_takes_no_writes_is_said_at_once(troubled, es, blocked, status, says):
    _, served, name = troubled
    http = served()
    with blocked(es[0], f"bothways-{name}-v1"):
        answer = http.delete(f"/api/v1/collections/{name}/documents/leave")
        assert http.post("/api/v1/search", json={"query": "请假", "collection": name}).status_code == 200
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True)
    assert "retry-after" not in answer.headers
    assert http.get(f"/api/v1/collections/{name}/documents/leave").status_code == 200
