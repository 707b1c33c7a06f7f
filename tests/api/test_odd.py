"""Requests and indices that nobody meant: numbers without end, long ids, mappings of other shapes. Never a 500."""

from __future__ import annotations

import json
import uuid

import pytest
from fastapi.testclient import TestClient

from bothways.api.app import create_app
from bothways.core.collections.collection import from_mapping
from bothways.core.collections.lease import alone_on
from bothways.core.errors import CollectionNotFoundError, UsageError
from bothways.core.settings import load_settings
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from bothways.indexer.versions import acl
from bothways.indexer.versions.acl import set_acl
from bothways.indexer.versions.versions import chunk_mapping
from bothways.search.pipeline import Searcher
from bothways.search.query.filters import filter_clauses
from tests.fakes import FixedWriter, HashEncoder, make_parts

pytestmark = pytest.mark.elasticsearch

DIGITS = "9" * 5000
JUST_READ = "9" * 4000
LONG_ID = "长" * 161  # 483 bytes


@pytest.fixture(scope="module")
def http(es, segmenter, tmp_path_factory):
    client, server = es

    def build(_):
        return Searcher(client, segmenter, HashEncoder, embedding_model="fake/hash"), server

    chosen = load_settings(cache_dir=tmp_path_factory.mktemp("odd"))
    app = create_app(chosen, build)
    app.state.uploads.start = lambda: None
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


@pytest.fixture(scope="module")
def filled(es, segmenter, tmp_path_factory):
    client, server = es
    name = f"test-{uuid.uuid4().hex}"
    folder = tmp_path_factory.mktemp("docs")
    rows = [{"_id": "leave", "title": "请假", "text": "员工请假应当提前三天。", "metadata": {"year": 2024, "n": 1}}]
    (folder / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    index_path(
        folder,
        JobOptions(collection=name),
        make_parts((client, server), segmenter, writer=FixedWriter()),
    )
    yield name
    client.indices.delete(index=f"bothways-{name}-v1")
    client.delete_by_query(index="bothways-jobs", query={"term": {"collection": name}}, refresh=True)


def send(http, method, path, body):
    return http.request(method, path, content=body, headers={"content-type": "application/json"})


@pytest.mark.parametrize("digits", [DIGITS, JUST_READ])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/search", '{"query": "a", "collection": "C", "top_k": N}'),
        ("POST", "/api/v1/search", '{"query": "a", "collection": "C", "min_score": N}'),
        ("POST", "/api/v1/search", '{"query": N, "collection": "C"}'),
        ("POST", "/api/v1/search", '{"query": "a", "collection": "C", "filters": {"year": N}}'),
        ("POST", "/api/v1/search", '{"query": "a", "collection": "C", "filters": {"year": {"gte": N}}}'),
        ("POST", "/api/v1/search", '{"query": "a", "collection": "C", "filters": {"year": {"any": [1, {"lt": N}]}}}'),
        ("POST", "/api/v1/ask", '{"query": "a", "collection": "C", "filters": {"year": [N, -N]}}'),
        (
            "POST",
            "/v1/chat/completions",
            '{"model": "C", "max_tokens": N, "messages": [{"role": "user", "content": 1}]}',
        ),
        ("POST", "/api/v1/feedback", '{"query_id": N, "chunk_id": "a", "action": "click"}'),
        ("PUT", "/api/v1/collections/C/acl", '{"field": N}'),
        ("POST", "/api/v1/collections/C/documents", '{"documents": [{"id": N, "text": "a"}]}'),
        ("GET", "/api/v1/jobs?limit=N", None),
        ("GET", "/api/v1/jobs?offset=N", None),
        ("GET", "/api/v1/collections/C/documents?limit=N", None),
        ("POST", "/api/v1/collections/C/rollback?to=N", None),
    ],
)
def test_numbers_without_end_are_refused(http, filled, method, path, body, digits):
    path = path.replace("C", filled).replace("N", digits)
    answer = send(http, method, path, body and body.replace('"C"', f'"{filled}"').replace("N", digits))
    assert answer.status_code == (400 if path.startswith("/v1") else 422), answer.text[:300]
    if not path.startswith("/v1"):
        assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.json().get("detail", "")) < 2000


@pytest.mark.parametrize("digits", [DIGITS, JUST_READ])
def test_a_number_without_end_in_a_documents_metadata(http, filled, digits):
    body = f'{{"documents": [{{"id": "n", "text": "a", "metadata": {{"n": {digits}}}}}]}}'
    answer = send(http, "POST", f"/api/v1/collections/{filled}/documents", body)
    assert answer.status_code == (422 if digits is DIGITS else 202)


def test_numbers_without_end_in_filters_of_programs():
    for condition in (10**5000, {"gte": 10**5000}, {"gte": -(10**5000)}, [1, 10**5000]):
        with pytest.raises(UsageError):
            filter_clauses({"n": condition}, fields=["n"], ranges=["n"])


@pytest.mark.parametrize("query", [f"第{DIGITS}条", f"{DIGITS}", f"第{'一' * 5000}条", f"Art. {'X' * 3000}"])
def test_numbers_without_end_in_a_question_are_text(http, filled, query):
    answer = http.post("/api/v1/search", json={"query": query, "collection": filled, "strategy": "hybrid"})
    assert answer.status_code == 200


def test_ids_are_limited_by_bytes_at_the_door(http, filled):
    path = f"/api/v1/collections/{filled}/documents"
    refused = http.post(path, json={"documents": [{"id": LONG_ID, "text": "长"}]})
    assert refused.status_code == 422
    assert "480 bytes" in refused.json()["detail"]
    assert http.post(path, json={"documents": [{"id": LONG_ID[:160], "text": "长"}]}).status_code == 202
    assert http.get(f"{path}/{LONG_ID}").status_code == 404
    assert http.delete(f"{path}/{LONG_ID}").status_code == 404


def test_the_longest_id_is_indexed_with_its_position(es, segmenter, tmp_path, collection):
    client, server = es
    rows = [{"_id": LONG_ID[:160], "text": "一句话。" * 400}, {"_id": LONG_ID, "text": "长"}]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "array.json").write_text(
        json.dumps([{"id": "x" * 481, "text": "x"}, {"id": "y", "text": "y"}]), "utf-8"
    )
    parts = make_parts((client, server), segmenter)
    report = index_path(tmp_path, JobOptions(collection=collection, max_chars=50), parts)
    assert [failure.stage for failure in report.failures] == ["read", "read"]
    assert all("more than 480 bytes" in failure.reason for failure in report.failures)
    assert report.documents == 2
    assert report.indexed == report.chunks > 10


def test_a_number_without_end_in_a_file_fails_by_name_and_the_rest_is_read(es, segmenter, tmp_path, collection):
    client, server = es
    (tmp_path / "lines.jsonl").write_text(f'{{"_id": {DIGITS}, "text": "a"}}\n{{"_id": "b", "text": "b"}}\n', "utf-8")
    (tmp_path / "array.json").write_text(f'[{{"_id": "c", "text": "c"}}, {{"_id": {DIGITS}, "text": "d"}}]', "utf-8")
    parts = make_parts((client, server), segmenter)
    report = index_path(tmp_path, JobOptions(collection=collection), parts)
    assert report.documents == 2
    assert {failure.item for failure in report.failures} == {"array.json", "lines.jsonl"}


def odd(mapping, **meta):
    mapping["mappings"]["_meta"] |= meta
    metadata = mapping["mappings"]["properties"]["metadata"]
    metadata["properties"] = {
        "law": {"type": "keyword"},
        "nested": {"properties": {"inner": {"type": "keyword"}}},
        "other": {"type": "alias", "path": "doc_id"},
        "count": {"type": "long"},
        "sure": {"type": "boolean"},
    }
    return mapping


@pytest.fixture
def strange(es, segmenter, collection):
    """A collection whose metadata somebody has mapped in other ways, with a chunk that lacks most fields."""
    client, _ = es
    mapping = chunk_mapping(embedding_model="fake/hash", dimension=64, analyzer=segmenter.name)
    index = f"bothways-{collection}-v1"
    client.indices.create(index=index, aliases={f"bothways-{collection}": {}}, **odd(mapping, dimension="many"))
    whole = {"doc_id": "a", "position": 0, "title": "请假", "text": "员工请假", "source": "a", "text_kw": "员工 请假"}
    rows = {
        "c-0": {"doc_id": "c"},
        "a-0": whole
        | {"chunk_id": "a-0", "metadata": {"law": "x", "nested": {"inner": "y"}, "count": 3, "sure": True}},
        "b-0": {"text": "请假", "text_kw": "请假"},
    }
    for chunk_id, row in rows.items():
        client.index(index=index, id=chunk_id, document=row, refresh=True)
    return collection


@pytest.mark.parametrize("field", ["nested", "other", "count", "sure", "nested.inner"])
@pytest.mark.parametrize("condition", ["x", {"gte": 1}, {"exists": True}, {"not": ["a"]}])
def test_fields_of_other_shapes_are_no_fields_to_filter_by(http, strange, field, condition):
    body = {"query": "请假", "collection": strange, "strategy": "bm25", "filters": {field: condition}}
    answer = http.post("/api/v1/search", json=body)
    assert answer.status_code == 422
    assert "this collection has: chunk_id, doc_id, law, source" in answer.json()["detail"]


@pytest.mark.parametrize("extra", [{}, {"highlight": True, "explain": True}, {"context": 1}, {"facets": ["law"]}])
def test_a_collection_of_another_shape_is_searched(http, strange, extra):
    body = {"query": "员工请假", "collection": strange, "strategy": "bm25", **extra}
    answer = http.post("/api/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    assert {hit["chunk_id"] for hit in answer.json()["hits"]} == {"a-0", "b-0"}
    assert answer.json()["degraded"] == []


@pytest.mark.parametrize("path", ["", "/documents", "/documents/a", "/documents/c", "/documents/b"])
def test_a_collection_of_another_shape_is_shown(http, strange, path):
    assert http.get(f"/api/v1/collections/{strange}{path}").status_code == (404 if path.endswith("/b") else 200)
    assert http.get("/api/v1/collections").status_code == 200


def test_an_index_without_meta_is_refused_and_listed(http, es, collection):
    es[0].indices.create(index=f"bothways-{collection}-v1", aliases={f"bothways-{collection}": {}})
    answer = http.post("/api/v1/search", json={"query": "a", "collection": collection})
    assert (answer.status_code, "--recreate" in answer.json()["detail"]) == (409, True)
    assert http.get(f"/api/v1/collections/{collection}").status_code == 200
    assert http.get("/api/v1/collections").status_code == 200


@pytest.mark.parametrize("value", ["many", None, [512], {"a": 1}, 1.5, True])
def test_what_meta_says_is_not_believed_to_be_numbers(value):
    meta = dict.fromkeys(("dimension", "schema_version", "max_chars", "chunker", "acl_field"), value)
    read = from_mapping("x", "bothways-x-v1", {"_meta": meta})
    assert (read.dimension, read.schema_version, read.max_chars) == (0, 0, None)


def test_setting_groups_beside_a_deletion_finds_nothing(es, http, collection, monkeypatch):
    client, _ = es
    for number in (1, 2):
        client.indices.create(index=f"bothways-{collection}-v{number}", mappings={"_meta": {"schema_version": 1}})
    client.indices.put_alias(index=f"bothways-{collection}-v2", name=f"bothways-{collection}")
    real = acl.note

    def note(*args, **facts):
        client.options(ignore_status=404).indices.delete(index=f"bothways-{collection}-v1,bothways-{collection}-v2")
        real(*args, **facts)

    monkeypatch.setattr(acl, "note", note)
    answer = http.put(f"/api/v1/collections/{collection}/acl", json={"field": "groups"})
    assert answer.status_code == 404
    assert not client.indices.exists(index=f"bothways-{collection}-v*", allow_no_indices=False)


def test_a_version_that_a_rebuild_removes_does_not_keep_groups_from_the_others(es, collection, monkeypatch):
    client, _ = es
    for number in (1, 2):
        client.indices.create(index=f"bothways-{collection}-v{number}", mappings={"_meta": {"schema_version": 1}})
    client.indices.put_alias(index=f"bothways-{collection}-v2", name=f"bothways-{collection}")
    real = acl.note

    def note(client_, index, **facts):
        if index.endswith("-v1"):
            client.indices.delete(index=index)
        real(client_, index, **facts)

    monkeypatch.setattr(acl, "note", note)
    set_acl(client, collection, "groups")
    assert acl.acl_fields(client, f"bothways-{collection}") == {f"bothways-{collection}-v2": "groups"}


def test_what_was_deleted_while_a_request_waited_for_it_is_not_there(es, http, collection, monkeypatch):
    client, _ = es
    for module, send_it in (
        ("bothways.indexer.documents", lambda: http.delete(f"/api/v1/collections/{collection}/documents/a")),
        ("bothways.indexer.versions.rollback", lambda: http.post(f"/api/v1/collections/{collection}/rollback")),
        ("bothways.core.collections.collection", lambda: http.delete(f"/api/v1/collections/{collection}")),
    ):
        client.indices.create(
            index=f"bothways-{collection}-v1",
            mappings={"_meta": {"schema_version": 1}},
            aliases={f"bothways-{collection}": {}},
        )

        def deleted_first(*args):
            client.indices.delete(index=f"bothways-{collection}-v1")
            return alone_on(*args)

        with monkeypatch.context() as patched:
            patched.setattr(f"{module}.alone_on", deleted_first)
            answer = send_it()
        assert answer.status_code == 404, (module, answer.text)


def test_the_programs_own_set_acl_says_so_too(es):
    with pytest.raises(CollectionNotFoundError):
        set_acl(es[0], "nobody-has-this", "groups")
