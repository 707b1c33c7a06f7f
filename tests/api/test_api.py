"""The REST interface over a real Elasticsearch: the contract's shapes, and what bad requests are told."""

from __future__ import annotations

import json

import pytest
from fastapi.testclient import TestClient

from bothways.api.app import create_app
from bothways.core.elastic.client import Server
from bothways.core.errors import ElasticsearchUnavailableError
from bothways.core.settings import load_settings
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from bothways.schemas import examples
from bothways.schemas.search import SearchRequest, SearchResult
from bothways.search.pipeline import Searcher
from tests.fakes import FixedWriter, HashEncoder, make_parts

pytestmark = pytest.mark.elasticsearch


@pytest.fixture
def filled(es, segmenter, collection, tmp_path):
    client, server = es
    rows = [
        {"_id": "leave", "title": "请假", "text": "员工请假应当提前三天提交申请。", "metadata": {"area": "hr"}},
        {"_id": "refund", "title": "退货", "text": "签收后七天内可以无理由退货。", "metadata": {"area": "shop"}},
    ]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    parts = make_parts((client, server), segmenter, writer=FixedWriter())
    index_path(tmp_path, JobOptions(collection=collection), parts)
    return collection


@pytest.fixture
def make_client(es, segmenter):
    client, server = es

    def make(**options):
        def build(_):
            return Searcher(client, segmenter, HashEncoder, embedding_model="fake/hash"), server

        return TestClient(create_app(load_settings(**options), build), raise_server_exceptions=False)

    return make


@pytest.fixture
def http(make_client):
    return make_client()


def search(http, **body):
    headers = {"content-type": "application/json"}
    return http.post("/api/v1/search", content=json.dumps(body), headers=headers)


def test_search_has_the_contracts_shape(http, filled):
    answer = search(
        http, query="请假提前几天", collection=filled, top_k=1, strategy="hybrid", explain=True, highlight=True
    )
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {
        "query_id", "query", "rewritten", "strategy", "collection", "index", "hits", "timings_ms", "degraded",
        "offset", "total", "next_offset", "facets", "self_query",
    }  # fmt: skip
    assert body["index"] == f"bothways-{filled}-v1"
    assert body["rewritten"] is None
    assert set(body["timings_ms"]) >= {"rewrite", "encode", "retrieve", "fuse", "rerank", "total"}
    (hit,) = body["hits"]
    assert set(hit) == {
        "rank", "score", "chunk_id", "doc_id", "title", "text", "source", "metadata", "highlights", "explain",
    }  # fmt: skip
    assert (hit["rank"], hit["doc_id"], hit["metadata"]) == (1, "leave", {"area": "hr"})
    assert set(hit["explain"]) == {"bm25", "text_sem", "questions", "rrf", "convex"}
    assert set(hit["explain"]["bm25"]) == {"rank", "score", "words", "synonyms", "in_questions", "bigrams"}
    assert hit["explain"]["questions"]["matched"].startswith(("问", "怎么办"))


def test_the_default_is_hybrid_rerank_and_says_what_was_left_out(http, filled):
    body = search(http, query="请假", collection=filled).json()
    assert body["strategy"] == "hybrid_rerank"
    assert body["degraded"] == ["rerank"]
    assert "explain" not in body["hits"][0]


def test_all_that_can_be_shown(http, filled):
    body = search(http, query="请假 退货", collection=filled, top_k=1, facets=["area"], context=1).json()
    assert (body["offset"], body["total"], body["next_offset"]) == (0, 2, 1)
    values = [{"value": "hr", "count": 1}, {"value": "shop", "count": 1}]
    assert body["facets"] == {"area": {"values": values, "others": 0, "missing": 0}}
    assert body["hits"][0]["context"] == {"before": [], "after": []}
    SearchResult.model_validate(body)
    second = search(http, query="请假 退货", collection=filled, top_k=1, offset=1, rank_window_size=1).json()
    assert (second["offset"], second["next_offset"], second["facets"]) == (1, None, {})
    assert [hit["rank"] for hit in second["hits"]] == [2]
    assert "context" not in second["hits"][0]


def test_neighbours_on_the_wire(http, es, segmenter, collection, tmp_path):
    (tmp_path / "a.md").write_text("# 甲\n\n甲的内容。\n\n# 乙\n\n乙的内容。\n", encoding="utf-8")
    index_path(
        tmp_path,
        JobOptions(collection=collection),
        make_parts(es, segmenter),
    )
    body = search(http, query="乙的内容", collection=collection, strategy="bm25", top_k=1, context=1).json()
    (before,) = body["hits"][0]["context"]["before"]
    assert set(before) == {"chunk_id", "doc_id", "position", "title", "text"}
    assert before["text"] == "甲的内容。"
    assert body["hits"][0]["context"]["after"] == []


def test_a_request_chooses_fusion_and_rewriting(http, filled):
    body = search(
        http, query="请假", collection=filled, strategy="hybrid", explain=True, fusion="rrf", rewrite="query2doc"
    ).json()
    assert set(body["hits"][0]["explain"]) == {"bm25", "text_sem", "questions", "rrf"}
    assert body["hits"][0]["score"] == body["hits"][0]["explain"]["rrf"]
    assert (body["rewritten"], body["degraded"]) == (None, ["query2doc"])  # there is no language model


def test_the_settings_choose_where_a_request_does_not(make_client, filled):
    http = make_client(fusion="rrf")
    asked = {"query": "请假", "collection": filled, "strategy": "hybrid", "explain": True}
    assert "convex" not in search(http, **asked).json()["hits"][0]["explain"]
    assert "convex" in search(http, **asked, fusion="convex").json()["hits"][0]["explain"]


def test_filters(http, filled):
    body = search(http, query="请假", collection=filled, filters={"area": "shop"}).json()
    assert [hit["doc_id"] for hit in body["hits"]] == ["refund"]
    condition = {"not": "shop", "exists": True, "any": ["hr", {"exists": False}]}
    body = search(http, query="退货", collection=filled, filters={"area": condition}).json()
    assert [hit["doc_id"] for hit in body["hits"]] == ["leave"]


def test_self_query_says_what_it_did_and_can_be_switched_off(http, make_client, es, segmenter, tmp_path, collection):
    client, server = es
    rows = [
        {
            "_id": f"{law}{n}",
            "title": f"{law[:2]}条文",
            "text": f"内容 {n}",
            "metadata": {"law": law, "rule": f"第{n}条"},
        }
        for law in ("棋社规则", "茶室规则")
        for n in (1, 2)
    ]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    index_path(
        tmp_path,
        JobOptions(collection=collection),
        make_parts((client, server), segmenter, writer=FixedWriter()),
    )
    asked = {"query": "茶室规则第二条", "collection": collection, "strategy": "hybrid"}
    body = search(http, **asked).json()
    assert [hit["doc_id"] for hit in body["hits"]] == ["茶室规则2"]
    assert body["self_query"] == {
        "mode": "filter",
        "recognised": [
            {"text": "茶室规则", "values": {"law": ["茶室规则"]}},
            {"text": "第二条", "values": {"rule": ["第2条"]}},
        ],
        "relaxed": False,
    }
    body = search(http, **asked, self_query=False).json()
    assert (len(body["hits"]), body["self_query"]) == (4, None)
    off = make_client(self_query=False)
    assert search(off, **asked).json()["self_query"] is None
    assert search(off, **asked, self_query=True).json()["self_query"]["mode"] == "filter"


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"query": ""}, 422, "empty"),
        ({"query": "  "}, 422, "empty"),
        ({"query": None}, 422, "query"),
        ({"top_k": 0}, 422, "top_k"),
        ({"top_k": 101}, 422, "top_k"),
        ({"min_score": float("inf")}, 422, "min_score"),
        ({"strategy": "magic"}, 422, "strategy"),
        ({"rewrite": "always"}, 422, "rewrite"),
        ({"fusion": "sum"}, 422, "fusion"),
        ({"deduplicate": "maybe"}, 422, "deduplicate"),
        ({"no_such_option": 1}, 422, "no_such_option"),
        ({"filters": {"nope": "x"}}, 422, "'nope'"),
        ({"offset": -1}, 422, "offset"),
        ({"offset": 601}, 422, "offset"),
        ({"rank_window_size": 201}, 422, "rank_window_size"),
        ({"facets": ["nope"]}, 422, "'nope'"),
        ({"facets": ["area"] * 11}, 422, "facets"),
        ({"facets": ["area"], "facet_size": 101}, 422, "facet_size"),
        ({"context": 6}, 422, "context"),
        ({"filters": {"area": []}}, 422, "filters"),
        ({"filters": {"area": {"script": "x"}}}, 422, "no operator 'script'; there are: gte, gt, lte, lt, exists, not"),
        ({"filters": {"area": {"any": [{"not": {"query_string": "*"}}]}}}, 422, "no operator 'query_string'"),
        ({"filters": {"area": {}}}, 422, "no operator given"),
        ({"filters": {"area": {"gte": None}}}, 422, "wants numbers, or dates"),
        ({"filters": {"area": {"gte": "x"}}}, 422, "wants numbers, or dates"),
        ({"filters": {"area": {"exists": 1}}}, 422, "filters.area"),
        ({"filters": {"area": {"not": {"not": {"not": {"not": {"not": "x"}}}}}}}, 422, "4 deep"),
        ({"collection": "missing"}, 404, "no collection 'missing'"),
        ({"collection": "../etc"}, 422, "collection's name"),
        ({"collection": "*"}, 422, "collection's name"),
        ({"query": "长" * 20_000}, 422, "at most 10000"),
    ],
)
def test_bad_requests_are_told_what_to_do(http, filled, change, status, says):
    answer = search(http, **({"query": "请假", "collection": filled} | change))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert says in body["detail"]


def test_malformed_json(http):
    answer = http.post("/api/v1/search", content=b'{"query": ', headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "not JSON" in answer.json()["detail"]


def test_another_content_type(http):
    answer = http.post("/api/v1/search", content=b'{"query": "x"}', headers={"content-type": "text/plain"})
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


def test_another_method_says_which_there_is(http):
    answer = http.get("/api/v1/search")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_half_surrogates_are_searched_as_question_marks(http, filled):
    body = json.dumps({"query": "请假\ud800", "collection": filled, "filters": {"area": ["hr", "\ud800"]}})
    for strategy in ("bm25", "hybrid"):
        sent = body[:-1] + f', "strategy": "{strategy}"}}'
        answer = http.post("/api/v1/search", content=sent, headers={"content-type": "application/json"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["hits"][0]["doc_id"] == "leave"


def test_a_body_that_is_too_large(make_client, filled):
    http = make_client(max_body_mb=0.5)
    assert search(http, query="x" * 1_000_000, collection=filled).status_code == 413

    def pieces():
        yield from [b"x" * 100_000] * 10

    answer = http.post("/api/v1/search", content=pieces(), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert "larger than" in answer.json()["detail"]


def test_a_query_of_a_megabyte(http, filled):
    assert search(http, query="长" * 330_000, collection=filled).status_code == 422


def test_a_body_without_a_length_is_taken(http, filled):
    def pieces():
        yield json.dumps({"query": "请假", "collection": filled}).encode()

    answer = http.post("/api/v1/search", content=pieces(), headers={"content-type": "application/json"})
    assert answer.status_code == 200


def test_request_id_is_echoed_or_made(http):
    assert http.get("/health/live", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    assert len(http.get("/health/live").headers["X-Request-ID"]) == 32
    assert http.get("/health/live", headers={"X-Request-ID": "a b\x01"}).headers["X-Request-ID"] != "a b\x01"


def test_unknown_paths_are_problems(http):
    answer = http.get("/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_collections(http, filled):
    (row,) = [row for row in http.get("/api/v1/collections").json() if row["name"] == filled]
    assert (row["documents"], row["chunks"], row["metadata_fields"]) == (2, 2, ["area"])
    assert http.get(f"/api/v1/collections/{filled}").json() == row
    assert http.delete(f"/api/v1/collections/{filled}").status_code == 204
    assert http.get(f"/api/v1/collections/{filled}").status_code == 404
    assert http.delete(f"/api/v1/collections/{filled}").status_code == 404


def test_rollback(http, filled, es, segmenter, tmp_path):
    missing = http.post(f"/api/v1/collections/{filled}/rollback")
    assert missing.status_code == 422
    assert "no earlier version" in missing.json()["detail"]
    other = HashEncoder(dimension=32, name="fake/other")
    parts = make_parts(es, segmenter, encoder=lambda: other, embedding_model=other.name)
    assert index_path(tmp_path, JobOptions(collection=filled, recreate=True), parts).succeeded
    row = http.get(f"/api/v1/collections/{filled}").json()
    assert [(version["number"], version["state"]) for version in row["versions"]] == [(1, "kept"), (2, "live")]
    assert search(http, query="请假", collection=filled).status_code == 409

    answer = http.post(f"/api/v1/collections/{filled}/rollback")
    assert answer.status_code == 200
    assert answer.json() == {
        "collection": filled,
        "left": f"bothways-{filled}-v2",
        "index": f"bothways-{filled}-v1",
        "embedding_model": "fake/hash",
        "advice": None,
    }
    assert search(http, query="请假", collection=filled).json()["index"] == f"bothways-{filled}-v1"

    answer = http.post(f"/api/v1/collections/{filled}/rollback?to=2")
    assert "set BOTHWAYS_EMBEDDING_MODEL=fake/other" in answer.json()["advice"]
    assert search(http, query="请假", collection=filled).status_code == 409
    assert http.post(f"/api/v1/collections/{filled}/rollback?to=0").status_code == 422
    assert http.post("/api/v1/collections/no-such-thing/rollback").status_code == 404


def test_health(http):
    assert http.get("/health/live").json() == {"status": "live"}
    ready = http.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json()["licence"]
    assert "bothways_http_requests_total" in http.get("/metrics").text


def test_methods_that_are_none_make_no_series(http):
    for method in ("BREW", "WHEN"):
        assert http.request(method, "/health/live").status_code == 405
    lines = http.get("/metrics").text.splitlines()
    counted = [line for line in lines if line.startswith("bothways_http_requests_total")]
    methods = {line.split('method="')[1].split('"')[0] for line in counted}
    assert "other" in methods
    assert methods <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"}


def test_keys(make_client, filled):
    http = make_client(api_keys="the-first-of-two,the-second-of-two")
    body = {"query": "请假", "collection": filled}
    for headers in (
        {},
        {"X-API-Key": "wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic the-first-of-two"},
    ):
        answer = http.post("/api/v1/search", json=body, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == "Bearer"
    assert http.post("/api/v1/search", json=body, headers={"X-API-Key": "the-second-of-two"}).status_code == 200
    assert (
        http.post("/api/v1/search", json=body, headers={"Authorization": "Bearer the-first-of-two"}).status_code == 200
    )
    assert http.get("/health/live").status_code == 200


def test_without_elasticsearch_it_lives_but_is_not_ready():
    def build(_) -> tuple[Searcher, Server]:
        raise ElasticsearchUnavailableError("No Elasticsearch is running: start one with `bothways es up`.")

    http = TestClient(create_app(load_settings(), build), raise_server_exceptions=False)
    assert http.get("/health/live").status_code == 200
    for answer in (http.get("/health/ready"), search(http, query="x", collection="law")):
        assert answer.status_code == 503
        assert "bothways es up" in answer.json()["detail"]


def test_an_unforeseen_error_tells_nothing_of_the_inside():
    def build(_):
        raise RuntimeError("password=hush")

    http = TestClient(create_app(load_settings(), build), raise_server_exceptions=False)
    answer = search(http, query="x", collection="law")
    assert answer.status_code == 500
    assert "hush" not in answer.text
    assert answer.headers["X-Request-ID"]


def test_the_password_in_elasticsearchs_address_is_not_told():
    app = create_app(load_settings(es_url="http://elastic:hush@127.0.0.1:1"))
    answer = TestClient(app, raise_server_exceptions=False).get("/health/ready")
    assert answer.status_code == 503
    assert "http://127.0.0.1:1" in answer.json()["detail"]
    assert "hush" not in answer.text


def test_the_examples_are_what_the_models_say(http):
    for example in examples.SEARCHES:
        SearchRequest.model_validate(example)
    assert SearchResult.model_validate(examples.SEARCH_RESULT).model_dump(exclude_unset=True) == examples.SEARCH_RESULT
    schemas = http.get("/openapi.json").json()["components"]["schemas"]
    assert schemas["SearchRequest"]["examples"] == examples.SEARCHES
    assert schemas["SearchResult"]["examples"][0]["hits"] == examples.SEARCH_RESULT["hits"]


def test_openapi(http):
    paths = http.get("/openapi.json").json()["paths"]
    assert {"/api/v1/search", "/api/v1/collections", "/health/live", "/health/ready"} <= set(paths)
