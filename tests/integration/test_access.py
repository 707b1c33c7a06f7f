"""Access groups over a real Elasticsearch, with the eyes of somebody who wants to see more than he may."""

from __future__ import annotations

import hashlib
import json
import uuid

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

import bothways.core.access.guarded
from bothways.api.app import create_app
from bothways.api.deps import AccessDep, KeyedRoute
from bothways.core.access.groups import Access
from bothways.core.access.guarded import guarded
from bothways.core.collections.collection import open_collection
from bothways.core.collections.visibility import as_visible
from bothways.core.errors import CollectionNotFoundError, IncompatibleCollectionError, UsageError
from bothways.core.settings import load_settings
from bothways.indexer.job import index_path
from bothways.indexer.jobs.store import Job, JobStore, new_id
from bothways.indexer.parts import JobOptions
from bothways.indexer.versions.acl import acl_fields, set_acl
from bothways.indexer.versions.rollback import rollback
from bothways.search.options import STRATEGIES, SearchOptions
from bothways.search.pipeline import Searcher
from tests.fakes import FixedWriter, HashEncoder, make_parts

pytestmark = pytest.mark.elasticsearch

ROWS = [
    {
        "_id": "leave",
        "text": "员工请假应当提前三天提交申请。",
        "metadata": {"groups": ["hr", "all staff"], "area": "人事"},
    },
    {"_id": "pay", "text": "工资于每月十日发放。", "metadata": {"groups": "hr", "area": "人事"}},
    {"_id": "suit", "text": "机密诉讼：员工请假纠纷案的和解金额。", "metadata": {"groups": "legal", "area": "机密"}},
    {"_id": "shout", "text": "员工请假制度的旧版本。", "metadata": {"groups": "HR"}},
    {"_id": "comma", "text": "员工请假的合并说明。", "metadata": {"groups": "hr,legal"}},
    {"_id": "loose", "text": "员工请假的无主文件。", "metadata": {"area": "人事"}},
]
NAMED = [
    {"_id": f"{n}", "text": f"第{n}次会谈谈到和解。", "metadata": {"groups": "legal", "matter": "海豚计划"}}
    for n in (1, 2)
] + [{"_id": "h", "text": "人事的和解。", "metadata": {"groups": "hr", "matter": "日常事务"}}]
MAY_SEE = {"hr": {"leave", "pay"}, "legal": {"suit"}, "both": {"leave", "pay", "suit"}, "nobody": set()}
GROUPS = {"hr": ["hr"], "legal": ["legal"], "both": ["hr", "legal"], "nobody": []}
ADMIN = "the-key-of-an-admin"
QUESTION = "员工请假 工资 诉讼"


def sha(key):
    return hashlib.sha256(key.encode()).hexdigest()


def written(path, rows):
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (path / "c.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return written(tmp_path_factory.mktemp("docs"), ROWS)


@pytest.fixture(scope="module")
def make(es, segmenter, folder, tmp_path_factory):
    """Index the documents into a collection: `make(name, acl_field=..., recreate=...)`; all are removed at the end."""
    client, server = es
    names = set()

    def run(name, *, files=ROWS, **options):
        names.add(name)
        parts = make_parts((client, server), segmenter, writer=FixedWriter())
        path = folder if files is ROWS else written(tmp_path_factory.mktemp("docs"), files)
        assert index_path(path, JobOptions(collection=name, **options), parts).succeeded

    yield run
    for name in names:
        for index in client.indices.get(index=f"bothways-{name}-v*").body:
            client.indices.delete(index=index)


@pytest.fixture(scope="module")
def protected(make):
    name = f"test-{uuid.uuid4().hex}"
    make(name, acl_field="groups")
    return name


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(bothways.core.access.guarded, "TTL_S", 0.0)


@pytest.fixture(scope="module")
def app(es, segmenter, tmp_path_factory):
    client, server = es
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    entries = [f'[[keys]]\nsha256 = "{sha(key)}"\ngroups = {json.dumps(groups)}\n' for key, groups in GROUPS.items()]
    path.write_text("".join(entries), encoding="utf-8")
    path.chmod(0o600)
    searcher = Searcher(client, segmenter, HashEncoder, embedding_model="fake/hash")
    cache = tmp_path_factory.mktemp("cache")
    chosen = load_settings(api_keys=ADMIN, api_keys_file=path, cache_dir=cache)
    return create_app(chosen, lambda _: (searcher, server))


@pytest.fixture
def http(app):
    return TestClient(app, raise_server_exceptions=False)


def call(http, key, method, path, **more):
    return http.request(method, f"/api/v1{path}", headers={"X-API-Key": key}, **more)


def search(http, key, collection, **body):
    asked = {"query": QUESTION, "collection": collection, "top_k": 100} | body
    return call(http, key, "POST", "/search", json=asked)


def found(answer):
    assert answer.status_code == 200, answer.text
    return {hit["doc_id"] for hit in answer.json()["hits"]}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_keeps_to_the_groups(http, protected, strategy):
    for key in ("hr", "legal", "both"):
        answer = search(http, key, protected, strategy=strategy, explain=True, highlight=True)
        seen = found(answer)
        assert seen <= MAY_SEE[key]
        if strategy != "bm25":
            assert seen == MAY_SEE[key]
        assert all("groups" not in hit["metadata"] for hit in answer.json()["hits"])
    assert found(search(http, ADMIN, protected, strategy="dense")) == {row["_id"] for row in ROWS}


def test_what_has_no_group_is_the_admins_alone(http, protected):
    for key in ("hr", "legal", "both"):
        assert "loose" not in found(search(http, key, protected, query="无主文件"))
    assert found(search(http, ADMIN, protected, query="无主文件", top_k=1)) == {"loose"}


def test_groups_are_compared_to_the_letter(http, protected):
    """Neither another case nor a list that somebody has written as one text gives a group."""
    assert {"shout", "comma"}.isdisjoint(found(search(http, "both", protected, strategy="dense")))


@pytest.mark.parametrize(
    "filters",
    [
        {"groups": ["legal"]},
        {"metadata.groups": "legal"},
        {"groups": "*"},
        {"groups": ["hr", "legal", ""]},
        {"metadata.metadata.groups": "legal"},
        {"Groups": "legal"},
        {"_id": "suit"},
        {"origin": "/"},
    ],
)
def test_a_filter_on_the_groups_is_refused_like_any_unknown_field(http, protected, filters):
    answer = search(http, "hr", protected, filters=filters)
    assert answer.status_code == 422
    assert "There is no field" in answer.json()["detail"]
    assert "groups," not in answer.json()["detail"].partition("has:")[2]


@pytest.mark.parametrize(
    "filters",
    [{"doc_id": "suit"}, {"chunk_id": "suit-0"}, {"source": "c.jsonl"}, {"area": ["机密", "人事"]}, {"area": "机密"}],
)
def test_other_filters_narrow_and_never_widen(http, protected, filters):
    assert found(search(http, "hr", protected, filters=filters)) <= MAY_SEE["hr"]


@pytest.mark.parametrize(
    "body",
    [
        {"filters": {"area": {"not": {"value": "x"}}, "groups": {"exists": True}}},
        {"filters": {"area": {"terms": {"metadata.groups": ["legal"]}}}},
        {"filters": [{"match_all": {}}]},
        {"access": {"groups": None}},
        {"groups": ["legal"]},
        {"index": "bothways-jobs"},
    ],
)
def test_injections_do_not_show_more(http, protected, body):
    answer = search(http, "hr", protected, **body)
    assert answer.status_code == 422 or found(answer) <= MAY_SEE["hr"]


@pytest.mark.parametrize(
    "condition", [{"not": "人事"}, {"exists": False}, {"exists": True}, {"any": ["机密", {"not": "x"}]}, {"gte": 0}]
)
def test_operators_narrow_and_never_widen(http, protected, condition):
    answer = search(http, "hr", protected, filters={"area": condition})
    assert found(answer) <= MAY_SEE["hr"]
    answer = search(http, "hr", protected, filters={"groups": condition})
    assert (answer.status_code, "There is no field" in answer.json()["detail"]) == (422, True)


def test_what_stands_beside_a_hit_is_seen_like_a_hit(http, make):
    """In the file, the legal department's record comes between two on pay."""
    name = f"test-{uuid.uuid4().hex}"
    rows = [("一月的工资。", "hr"), ("机密的和解。", "legal"), ("二月的工资。", "hr")]
    make(name, acl_field="groups", files=[{"text": text, "metadata": {"groups": group}} for text, group in rows])
    asked = {"query": "一月的工资", "strategy": "bm25", "top_k": 1, "context": 2}
    for key, after in (("hr", ["二月的工资。"]), ("both", ["机密的和解。", "二月的工资。"])):
        (hit,) = search(http, key, name, **asked).json()["hits"]
        assert [one["text"] for one in hit["context"]["after"]] == after


def test_facets_count_what_is_seen(http, protected):
    values = search(http, "hr", protected, strategy="hybrid", facets=["area"]).json()["facets"]["area"]["values"]
    assert values == [{"value": "人事", "count": 2}]
    assert search(http, "hr", protected, facets=["groups"]).status_code == 422


def test_names_of_hidden_documents_are_not_recognised(http, make):
    name = f"test-{uuid.uuid4().hex}"
    make(name, acl_field="groups", files=NAMED)
    for key, recognised in (("legal", True), ("hr", False)):
        told = search(http, key, name, query="海豚计划 和解", strategy="bm25").json()["self_query"]
        assert (told is not None) == recognised


@pytest.mark.parametrize("name", ["jobs", "leases", "feedback", "*", "_all", "law-v1", "..", "a,b"])
def test_no_other_index_is_a_collection(http, name):
    assert search(http, "hr", name).status_code == 422


def test_a_version_is_no_way_around(http, protected):
    assert search(http, "hr", f"{protected}-v1").status_code == 422


def test_documents_by_id_and_in_lists(http, protected):
    path = f"/collections/{protected}/documents"
    for key in ("hr", "legal", "both"):
        listed = call(http, key, "GET", path).json()
        assert {row["doc_id"] for row in listed} == MAY_SEE[key]
        for row in ROWS:
            answer = call(http, key, "GET", f"{path}/{row['_id']}")
            assert answer.status_code == (200 if row["_id"] in MAY_SEE[key] else 404)
    shown = call(http, "hr", "GET", f"{path}/leave").json()
    assert shown["metadata"] == {"area": "人事"}
    assert call(http, ADMIN, "GET", f"{path}/leave").json()["metadata"]["groups"] == ["hr", "all staff"]
    assert {row["doc_id"] for row in call(http, "hr", "GET", f"{path}?after=leave").json()} == {"pay"}


def test_a_hidden_document_is_told_of_like_one_that_is_not_there(http, protected):
    path = f"/collections/{protected}/documents"
    hidden, missing = (call(http, "hr", "GET", f"{path}/{doc_id}").json()["detail"] for doc_id in ("suit", "nope"))
    assert hidden.replace("suit", "nope") == missing


def test_collections_count_what_is_seen(http, protected):
    def row(key):
        return {row["name"]: row for row in call(http, key, "GET", "/collections").json()}.get(protected)

    assert (row(ADMIN)["documents"], row(ADMIN)["acl_field"]) == (6, "groups")
    assert len(row(ADMIN)["versions"]) == 1
    assert (row("hr")["documents"], row("hr")["chunks"]) == (2, 2)
    assert (row("hr")["metadata_fields"], row("hr")["acl_field"], row("hr")["versions"]) == (["area"], None, [])
    assert call(http, "hr", "GET", f"/collections/{protected}").json() == row("hr")
    assert row("nobody") is None


@pytest.mark.undisturbed  # a collection that another test is making cannot be searched yet: 502 for all names
def test_who_sees_nothing_in_a_collection_is_told_that_there_is_none(http, protected):
    for method, path, more in (
        ("GET", "/collections/{}", {}),
        ("GET", "/collections/{}/documents", {}),
        ("GET", "/collections/{}/documents/leave", {}),
    ):
        hidden = call(http, "nobody", method, path.format(protected), **more)
        missing = call(http, "nobody", method, path.format("missing"), **more)
        assert (hidden.status_code, missing.status_code) == (404, 404)
        assert hidden.json()["detail"].replace(protected, "missing") == missing.json()["detail"]
    hidden, missing = search(http, "nobody", protected), search(http, "nobody", "missing")
    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert hidden.json()["detail"].replace(protected, "missing") == missing.json()["detail"]


def test_a_collection_of_another_model_is_told_of_to_those_alone_who_see_something_in_it(es, segmenter, protected):
    searcher = Searcher(es[0], segmenter, HashEncoder, embedding_model="other")
    for groups, error in (({"hr"}, IncompatibleCollectionError), ({"nobody"}, CollectionNotFoundError)):
        with pytest.raises(error):
            searcher.seen_by(Access(frozenset(groups))).search(QUESTION, protected, SearchOptions())


def test_keys_with_groups_change_nothing_and_see_no_job(http, protected, es):
    job = JobStore(es[0]).create(Job(id=new_id(), collection=protected, kind="upload", files=["机密.pdf"]))
    for method, path in (
        ("DELETE", f"/collections/{protected}"),
        ("DELETE", f"/collections/{protected}/documents/leave"),
        ("POST", f"/collections/{protected}/rollback"),
        ("POST", f"/collections/{protected}/documents"),
        ("POST", "/collections/another/documents"),
        ("PUT", f"/collections/{protected}/acl"),
        ("GET", "/jobs"),
        ("GET", f"/jobs?collection={protected}"),
        ("GET", f"/jobs/{job.id}"),
        ("DELETE", f"/jobs/{job.id}"),
        ("POST", f"/jobs/{job.id}/retry"),
    ):
        answer = call(http, "both", method, path, json={"field": None})
        assert answer.status_code == 403, (method, path)
        assert "机密" not in answer.text
    assert call(http, ADMIN, "GET", f"/jobs/{job.id}").status_code == 200
    assert open_collection(es[0], protected).acl_field == "groups"
    es[0].delete(index="bothways-jobs", id=job.id, refresh=True)


def test_one_caller_is_not_served_anothers_answer(http, protected):
    """The same request, one after another, by different keys: whatever is cached on the way is each one's own."""
    for _ in range(2):
        for key in (ADMIN, "hr", "legal", "both"):
            seen = found(search(http, key, protected, strategy="dense"))
            assert seen == ({row["_id"] for row in ROWS} if key == ADMIN else MAY_SEE[key])


def test_every_route_is_closed_until_somebody_opens_it(app):
    router = APIRouter(route_class=KeyedRoute)

    @router.get("/api/v1/new")
    def new(access: AccessDep):
        return "secret"

    app.include_router(router)
    http = TestClient(app)
    assert http.get("/api/v1/new", headers={"X-API-Key": "hr"}).status_code == 403
    assert http.get("/api/v1/new", headers={"X-API-Key": ADMIN}).status_code == 200


def test_rebuilds_and_rollbacks_stay_closed(make, es, http):
    """Going back to a version that knows nothing of groups opens nothing, and neither does building a new one."""
    client, _ = es
    name = f"test-{uuid.uuid4().hex}"
    make(name)
    assert found(search(http, "nobody", name, strategy="dense")) == {row["_id"] for row in ROWS}
    assert found(search(http, "hr", name, filters={"groups": "legal"})) == {"suit"}  # nothing is protected yet
    make(name, recreate=True, acl_field="metadata.groups".removeprefix("metadata."))
    assert set(acl_fields(client, f"bothways-{name}").values()) == {"groups"}
    client.indices.put_mapping(index=f"bothways-{name}-v1", meta={"embedding_model": "fake/hash", "dimension": 64,
        "analyzer": "jieba-cut", "schema_version": 1})  # fmt: skip
    rollback(client, name)
    assert open_collection(client, name).index == f"bothways-{name}-v1"
    assert found(search(http, "hr", name, strategy="dense")) == MAY_SEE["hr"]
    make(name, recreate=True)
    assert open_collection(client, name).acl_field == "groups"
    assert found(search(http, "hr", name, strategy="dense")) == MAY_SEE["hr"]
    set_acl(client, name, None)
    assert open_collection(client, name).acl_field == ""


def test_setting_it_over_http(make, http, es):
    name = f"test-{uuid.uuid4().hex}"
    make(name)
    assert (
        call(http, ADMIN, "PUT", f"/collections/{name}/acl", json={"field": "groups"}).json()["acl_field"] == "groups"
    )
    assert found(search(http, "hr", name, strategy="dense")) == MAY_SEE["hr"]
    assert call(http, ADMIN, "PUT", f"/collections/{name}/acl", json={"field": "a*"}).status_code == 422
    assert call(http, ADMIN, "PUT", "/collections/missing/acl", json={"field": "groups"}).status_code == 404
    assert call(http, ADMIN, "PUT", f"/collections/{name}/acl", json={"field": None}).json()["acl_field"] is None
    assert len(found(search(http, "nobody", name, strategy="dense"))) == 6


def test_a_field_that_no_document_has_closes_all(make, es, http):
    name = f"test-{uuid.uuid4().hex}"
    make(name, acl_field="teams")
    assert search(http, "both", name).status_code == 404
    assert len(found(search(http, ADMIN, name, strategy="dense"))) == 6


@pytest.mark.parametrize("field", ["", " ", "*", "a.b", "_x", "a b", "a,b", "x" * 300])
def test_a_field_that_cannot_be_one_is_refused(es, protected, field):
    with pytest.raises(UsageError):
        set_acl(es[0], protected, field)


def test_code_that_asks_by_itself_is_kept_to_the_groups(es, protected):
    """Whatever a later part of the read path asks, it is given no more than the caller may see."""
    client = guarded(es[0], Access(frozenset({"hr"})))
    index = as_visible(open_collection(client, protected), client).index
    laws = {"areas": {"terms": {"field": "metadata.area"}}}
    counted = client.search(index=index, size=0, aggs=laws)["aggregations"]["areas"]["buckets"]
    assert [(bucket["key"], bucket["doc_count"]) for bucket in counted] == [("人事", 2)]
    assert client.count(index=index)["count"] == 2
    by_id = client.search(index=index, query={"ids": {"values": ["suit-0", "pay-0"]}})["hits"]["hits"]
    assert [hit["_source"]["doc_id"] for hit in by_id] == ["pay"]
    in_address = client.search(index=index, source_includes=["metadata"], source_excludes=["metadata.area"])
    assert all("groups" not in hit["_source"].get("metadata", {}) for hit in in_address["hits"]["hits"])
    ids = ["suit-0", "pay-0", "nope"]
    several = client.mget(index=index, ids=ids, source_includes=["doc_id", "metadata"], realtime=False)["docs"]
    assert [doc["found"] for doc in several] == [False, True, False]
    assert several[1]["_source"] == {"doc_id": "pay", "metadata": {"area": "人事"}}
    lines = [{"index": index}, {"query": {"match_all": {}}}, {"index": index}, {"size": 0}]
    first, second = client.msearch(searches=lines)["responses"]
    assert {hit["_source"]["doc_id"] for hit in first["hits"]["hits"]} == MAY_SEE["hr"]
    assert second["hits"]["total"]["value"] == 2
    with pytest.raises(CollectionNotFoundError):
        as_visible(open_collection(es[0], protected), guarded(es[0], Access(frozenset())))
