"""Searches whose stages are broken on purpose: what is left answers, says what is missing, and keeps its time."""

from __future__ import annotations

import json
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from bothways.api.app import create_app
from bothways.core.errors import ElasticsearchUnavailableError, EncodingTimeoutError
from bothways.core.settings import load_settings
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from bothways.models.llm.answer_cache import AnswerCache
from bothways.models.llm.endpoint import EndpointModel
from bothways.node.connect import connect
from bothways.search.options import STRATEGIES, SearchOptions
from bothways.search.pipeline import Searcher
from bothways.search.query.rewrite import PATIENCE, Query2Doc
from bothways.search.retrieve.msearch import retrieve
from tests.es_proxy import Proxy
from tests.fakes import FixedWriter, HashEncoder, make_parts
from tests.llm_server import Scripted, completion
from tests.run_node import free_port

pytestmark = pytest.mark.elasticsearch

ROWS = [
    {"_id": "leave", "title": "请假", "text": "员工请假应当提前三天提交申请。"},
    {"_id": "pay", "title": "工资", "text": "工资于每月十日发放。"},
    {"_id": "pump", "title": "E07 故障", "text": "The pump shows E07 水泵过热时请断电冷却。"},
]
DENSE = ["text_sem", "questions"]


@pytest.fixture(scope="module")
def shelf(es, segmenter, tmp_path_factory):
    """A collection that the tests of this file only read."""
    client, server = es
    name = f"test-{uuid.uuid4().hex}"
    path = tmp_path_factory.mktemp("docs")
    (path / "c.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), "utf-8")
    parts = make_parts((client, server), segmenter, writer=FixedWriter())
    assert index_path(path, JobOptions(collection=name), parts).succeeded
    yield name
    client.indices.delete(index=f"bothways-{name}-v1")


def make_searcher(client, segmenter, encoder=HashEncoder, **more):
    return Searcher(client, segmenter, encoder, embedding_model="fake/hash", **more)


def ask(searcher, collection, text, **options):
    return searcher.search(text, collection, SearchOptions(**options))


def test_vectors_of_another_size_leave_the_words(shelf, es, segmenter):
    searcher = make_searcher(es[0], segmenter, lambda: HashEncoder(dimension=32))
    result = ask(searcher, shelf, "提前几天请假", strategy="hybrid")
    assert result.hits[0].doc_id == "leave"
    assert list(result.degraded) == DENSE
    assert list(result.legs) == ["bm25"]


def test_a_version_without_vectors_of_questions_leaves_the_other_legs(shelf, es, segmenter, collection):
    client, _ = es
    made = client.indices.get(index=f"bothways-{shelf}-v1")[f"bothways-{shelf}-v1"]
    mappings = made["mappings"]
    mappings["properties"]["questions"] = {"type": "object", "enabled": False}
    settings = {"analysis": made["settings"]["index"]["analysis"], "number_of_replicas": 0}
    index = f"bothways-{collection}-v1"
    client.indices.create(index=index, settings=settings, mappings=mappings, aliases={f"bothways-{collection}": {}})
    vector = [float(number) for number in HashEncoder().encode_documents([ROWS[0]["text"]])[0]]
    chunk = {"position": 0, "title": "请假", "text": ROWS[0]["text"], "text_kw": "请假", "source": "c", "metadata": {}}
    client.index(index=index, id="leave-0", document={**chunk, "doc_id": "leave", "text_sem": vector}, refresh=True)
    result = ask(make_searcher(client, segmenter), collection, "提前几天请假", strategy="hybrid")
    assert [hit.doc_id for hit in result.hits] == ["leave"]
    assert set(result.legs) == {"bm25", "text_sem"}
    assert list(result.degraded) == ["questions"]


def test_a_leg_that_is_cut_short_is_kept_and_named(es, collection):
    """The server's own clock, of 200 ms ticks, ends the leg between two segments; the other leg has all its hits."""
    client, _ = es
    index = f"bothways-{collection}-v1"
    client.indices.create(index=index, settings={"number_of_replicas": 0, "merge.policy.segments_per_tier": 50})
    for number in range(30):
        chunk = {"doc_id": str(number), "position": 0, "title": "", "text": "leave", "source": "c"}
        client.index(index=index, id=str(number), document=chunk, refresh=True)
    slow = "double s = 0; for (int i = 0; i < 900000; i++) { s += Math.sin(i); } return Math.abs(s);"
    scored = {"script_score": {"query": {"match_all": {}}, "script": {"source": slow}}}
    words = {"query": {"match": {"text": "leave"}}, "size": 30}
    bodies = {"bm25": words, "text_sem": {"query": scored, "size": 30, "timeout": "1ms"}}
    retrieved = retrieve(client, bodies, index=index, timeout_ms=60_000)
    assert retrieved.cut_short == ["text_sem"]
    assert retrieved.degraded == ["text_sem"]
    assert len(retrieved.legs["bm25"]) == 30
    assert 0 <= len(retrieved.legs["text_sem"]) < 30


@pytest.fixture
def hanging(es_url, es_settings):
    proxy = Proxy(es_url.rstrip("/"))
    client, server = connect(load_settings(es_url=proxy.url, es_timeout_s=30))
    yield proxy, client, server
    proxy.close()
    client.close()


def test_a_node_that_hangs_is_given_up(shelf, hanging, segmenter):
    proxy, client, server = hanging
    searcher = make_searcher(client, segmenter, timeout_ms=300)
    assert ask(searcher, shelf, "请假", strategy="hybrid").degraded == []
    proxy.hang.add("_msearch")
    app = create_app(load_settings(search_timeout_ms=300), lambda _: (searcher, server))
    started = time.monotonic()
    answer = TestClient(app).post("/api/v1/search", json={"query": "请假", "collection": shelf, "strategy": "hybrid"})
    assert answer.status_code == 504
    assert "did not answer the search within 300 ms" in answer.json()["detail"]
    assert 0.3 <= time.monotonic() - started < 5
    assert proxy.hung == 1  # it is not asked again, which would take as long
    proxy.hang = {"_mapping"}
    searcher.versions.forget(shelf)
    started = time.monotonic()
    with pytest.raises(ElasticsearchUnavailableError, match="in time"):
        ask(searcher, shelf, "请假")
    assert time.monotonic() - started < 5
    proxy.hang.clear()
    proxy.release.set()
    assert ask(searcher, shelf, "请假", strategy="hybrid").hits


def test_a_model_that_hangs_leaves_the_words(shelf, es, segmenter):
    go = threading.Event()

    class Stuck(HashEncoder):
        def encode_queries(self, texts):
            assert go.wait(20)
            return self.encode_documents(texts)

    stuck = Stuck()
    searcher = make_searcher(es[0], segmenter, lambda: stuck)
    result = ask(searcher, shelf, "提前几天请假", strategy="hybrid", encode_timeout_ms=30)
    assert result.hits[0].doc_id == "leave"
    assert list(result.degraded) == DENSE
    assert result.timings_ms["encode"] < 5000
    with pytest.raises(EncodingTimeoutError, match="within 30 ms"):
        ask(searcher, shelf, "请假", strategy="dense", encode_timeout_ms=30)
    go.set()
    assert ask(searcher, shelf, "提前几天请假", strategy="hybrid").degraded == []


def query2doc(url, path):
    model = EndpointModel(url, model="m", first_wait_s=0.05)
    return Query2Doc(model, AnswerCache(path / "answers.sqlite"))


def test_a_language_model_of_five_seconds_costs_a_search_its_deadline_at_most(shelf, es, segmenter, tmp_path):
    """The margins are those of a busy machine; benchmarks/search/slow_llm.py prints the exact figures."""
    llm = Scripted()
    llm.script = [lambda _: (llm.release.wait(5), (200, completion("员工请假应当提前申请。")))[1]]
    try:
        searcher = make_searcher(es[0], segmenter, rewriter=lambda: query2doc(llm.url, tmp_path))
        ask(searcher, shelf, "热身", strategy="hybrid_q2d", rewrite_deadline_ms=0)
        plain = ask(searcher, shelf, "提前几天请假", strategy="hybrid")
        slow = ask(searcher, shelf, "提前几天请假", strategy="hybrid_q2d", rewrite_deadline_ms=300)
        assert list(slow.degraded) == ["query2doc"]
        assert slow.hits == plain.hits
        assert 250 <= slow.timings_ms["rewrite"] < 300 + 300
        assert slow.timings_ms["total"] - plain.timings_ms["total"] < 300 + 500
        for number in range(PATIENCE):
            ask(searcher, shelf, f"第{number}个问题", strategy="hybrid_q2d", rewrite_deadline_ms=1)
        spared = ask(searcher, shelf, "又一个问题", strategy="hybrid_q2d", rewrite_deadline_ms=5000)
        assert list(spared.degraded) == ["query2doc"]
        assert spared.timings_ms["rewrite"] < 1000
    finally:
        llm.close()


def test_a_dead_language_model_is_soon_not_waited_for(shelf, es, segmenter, tmp_path):
    rewriter = query2doc(f"http://127.0.0.1:{free_port()}/v1", tmp_path)
    searcher = make_searcher(es[0], segmenter, rewriter=lambda: rewriter)
    for number in range(PATIENCE):
        result = ask(searcher, shelf, f"第{number}个问题", strategy="hybrid_q2d", rewrite_deadline_ms=100)
        assert list(result.degraded) == ["query2doc"]
    for number in range(5):
        result = ask(searcher, shelf, f"又问{number}", strategy="hybrid_q2d", rewrite_deadline_ms=10_000)
        assert list(result.degraded) == ["query2doc"]
        assert result.timings_ms["rewrite"] < 2000
        assert result.hits


def test_more_searches_than_the_server_takes_on(shelf, es, segmenter):
    go = threading.Event()

    class Slow(HashEncoder):
        def encode_queries(self, texts):
            assert go.wait(20)
            return self.encode_documents(texts)

    slow = Slow()
    searcher = make_searcher(es[0], segmenter, lambda: slow)
    chosen = load_settings(search_concurrency=2, search_queue=3, search_timeout_ms=20_000, encode_timeout_ms=20_000)
    app = create_app(chosen, lambda _: (searcher, es[1]))
    body = {"query": "请假", "collection": shelf, "strategy": "hybrid"}
    with TestClient(app) as http, ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(http.post, "/api/v1/search", json=body) for _ in range(20)]
        deadline = time.monotonic() + 15
        while sum(call.done() for call in calls) < 15 and time.monotonic() < deadline:
            time.sleep(0.01)
        refused = [call.result() for call in calls if call.done()]
        assert [answer.status_code for answer in refused] == [503] * 15
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
        assert all("BOTHWAYS_SEARCH_CONCURRENCY" in answer.json()["detail"] for answer in refused)
        assert http.get("/health/live").status_code == 200  # who waits holds no thread
        go.set()
        answers = [call.result() for call in calls]
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [503] * 15


ODD = {
    "one character": "假",
    "one letter": "E",
    "ten thousand characters": ("员工请假要提前几天？" * 1000),
    "ten thousand characters in one word": "a" * 10_000,
    "emoji": "😀👨‍👩‍👧‍👦🏳️‍🌈",
    "stop words": "的 了 吗 是 在",
    "english stop words": "the of and to",
    "punctuation": "？！。，、《》……——",
    "ascii punctuation": "*:* AND (\"a\" OR b) ~2 ^3 \\ / [1 TO *]",
    "mixed": "pump 过热 shows E07 怎么办",
    "traditional": "員工請假應當提前幾天",
    "full width": "Ｅ０７　ｐｕｍｐ",
    "controls": "请假\x00\x01\x02\x1b[31m\u2028\u200b要提前",
    "half surrogates": "请假\ud83d要\udc00提前",
    "right to left": "\u202eמתי משלמים שכר\u202c كم يوم إجازة",
    "combining": "e\u0301" * 500,
    "grows when normalised": "\ufdfa" * 1000,
    "new lines": "请假\r\n\n\t提前",
    "html": "<script>alert('请假')</script>",
    "json": '{"match_all": {}}',
    "null words": "null undefined NaN true",
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_queries_are_answered_by_every_strategy(shelf, es, segmenter, name):
    searcher = make_searcher(es[0], segmenter)
    for strategy in STRATEGIES:
        result = ask(searcher, shelf, ODD[name], strategy=strategy, highlight=True, explain=True)
        assert set(result.degraded) <= {"rerank", "query2doc"}
        assert result.timings_ms["total"] < 10_000
        if strategy != "bm25":
            assert result.hits


@pytest.mark.parametrize(
    ("name", "expected"),
    [("one character", "leave"), ("mixed", "pump"), ("full width", "pump"), ("controls", "leave"),
     ("new lines", "leave"), ("half surrogates", "leave"), ("html", "leave"), ("ten thousand characters", "leave")],
)  # fmt: skip
def test_odd_queries_find_by_words_what_they_name(shelf, es, segmenter, name, expected):
    hits = ask(make_searcher(es[0], segmenter), shelf, ODD[name], strategy="bm25").hits
    assert hits[0].doc_id == expected


def test_a_traditional_question_finds_what_the_simplified_one_does(shelf, es, segmenter):
    searcher = make_searcher(es[0], segmenter)
    for strategy in ("bm25", "dense", "hybrid"):
        ours = ask(searcher, shelf, "员工请假应当提前几天", strategy=strategy)
        theirs = ask(searcher, shelf, "員工請假應當提前幾天", strategy=strategy)
        assert [hit.chunk_id for hit in theirs.hits] == [hit.chunk_id for hit in ours.hits]
        assert theirs.query == "員工請假應當提前幾天"  # what is told is what was asked


def test_a_simplified_question_finds_traditional_texts(es, segmenter, collection, tmp_path):
    texts = ["員工請假應當提前三天提交申請。", "薪資於每月十日發放。"]
    rows = [{"_id": str(number), "text": text} for number, text in enumerate(texts)]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    parts = make_parts(es, segmenter)
    assert index_path(tmp_path, JobOptions(collection=collection), parts).succeeded
    hits = ask(make_searcher(es[0], segmenter), collection, "请假应当申请", strategy="bm25").hits
    assert [hit.doc_id for hit in hits] == ["0"]


@pytest.mark.parametrize("name", ["emoji", "punctuation", "right to left"])
def test_what_has_no_words_finds_nothing_by_words(shelf, es, segmenter, name):
    assert ask(make_searcher(es[0], segmenter), shelf, ODD[name], strategy="bm25").hits == []
