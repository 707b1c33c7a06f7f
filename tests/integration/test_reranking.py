"""Reranking in searches and in evaluation, against a real Elasticsearch and real rerankers over HTTP."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from bothways.api.app import create_app
from bothways.core.errors import EvaluationError, UsageError
from bothways.core.settings import load_settings
from bothways.evaluation.build import evaluate_collection
from bothways.evaluation.judged.queries import JudgedQuery, load_queries
from bothways.evaluation.tune.calibrate import calibrate
from bothways.evaluation.tune.fusion import tune
from bothways.evaluation.tune.grid import make_grid
from bothways.models.rerank.remote import RemoteCrossEncoder
from bothways.search.options import SearchOptions
from bothways.search.pipeline import Searcher
from bothways.search.rank.rerank import sigmoid
from tests.fakes import FixedWriter, OverlapCrossEncoder
from tests.models.tiny_models import cross_encoder_folder
from tests.rerank_server import RerankServer, overlap

pytestmark = pytest.mark.elasticsearch

HANDBOOK = Path(__file__).parents[2] / "samples" / "handbook"
OPTIONS = SearchOptions(leg_k=10)


@pytest.fixture
def handbook(build):
    return build(HANDBOOK / "docs", writer=FixedWriter())


@pytest.fixture
def small(tmp_path, build):
    """Eight documents that share more or less with one question."""
    texts = ["年假五天", "一年能歇几天", "歇业通知", "几天到货", "请假要提前几天", "能不能退货", "一年质保", "水泵过热"]
    rows = [{"_id": f"d{n}", "title": f"第{n}篇", "text": text} for n, text in enumerate(texts)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    build(tmp_path)


@pytest.fixture
def queries():
    return load_queries(HANDBOOK / "queries.jsonl")[:12]


@pytest.fixture
def server():
    running = RerankServer()
    yield running
    running.close()


@pytest.fixture
def remote(server):
    made = []

    def make(path="", **other):
        made.append(RemoteCrossEncoder(server.url + path, model="m", **other))
        return made[-1]

    yield make
    for each in made:
        each.close()


class Counting(OverlapCrossEncoder):
    def __init__(self):
        self.pairs = 0

    def score(self, query, texts):
        self.pairs += len(texts)
        return [4 * overlap(query, text) - 2 for text in texts]


@pytest.fixture
def make_searcher(es, segmenter, encoder):
    def make(cross_encoder, **other):
        return Searcher(
            es[0], segmenter, lambda: encoder, embedding_model="fake/hash", cross_encoder=lambda: cross_encoder, **other
        )

    return make


def ask(searcher, collection, text="一年能歇几天", **options):
    return searcher.search(text, collection, OPTIONS.replace(**options))


@pytest.mark.parametrize("path", ["/v2/rerank", "/v1/rerank", "/rerank"])
def test_a_reranker_over_http(path, small, make_searcher, collection, server, remote):
    result = ask(make_searcher(remote(path)), collection, top_k=10)
    assert result.degraded == []
    shares = [overlap("一年能歇几天", f"{hit.title}\n{hit.text}") for hit in result.hits]
    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) > 2
    wanted = [sigmoid(4 * s - 2) for s in shares] if path == "/rerank" else shares
    assert [hit.score for hit in result.hits] == pytest.approx(wanted, abs=1e-6)
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [(500, b"broken"), (200, {"results": []}), (200, b"<html>"), "hang", "drip"])
def test_a_reranker_that_is_broken_or_slow_degrades_in_time(answer, small, make_searcher, collection, server, remote):
    searcher = make_searcher(remote(protocol="jina"))
    reference = ask(searcher, collection, strategy="hybrid")
    server.answer = answer
    started = time.monotonic()
    result = ask(searcher, collection, rerank_budget_ms=150)
    assert time.monotonic() - started < 1.0
    assert result.timings_ms["rerank"] < 400
    assert list(result.degraded) == ["rerank"]
    assert [(h.chunk_id, h.score) for h in result.hits] == [(h.chunk_id, h.score) for h in reference.hits]


def test_a_dead_reranker_costs_nothing_after_some_searches(small, make_searcher, collection, server, remote):
    server.answer = "hang"
    searcher = make_searcher(remote())
    results = [ask(searcher, collection, rerank_budget_ms=300) for _ in range(7)]
    assert all(list(result.degraded) == ["rerank"] for result in results)
    assert results[-1].timings_ms["rerank"] < 200  # and not the 300 of its budget
    assert len(server.requests) == 5


def test_the_second_time_the_scores_are_remembered(small, make_searcher, collection):
    model = Counting()
    searcher = make_searcher(model)
    first, again = (ask(searcher, collection, top_k=10) for _ in range(2))
    assert (first.reranking.cached, again.reranking.cached) == (0, first.reranking.scored)
    assert model.pairs == first.reranking.scored
    assert [(h.chunk_id, h.score, h.cross_encoder) for h in first.hits] == [
        (h.chunk_id, h.score, h.cross_encoder) for h in again.hits
    ]
    none = make_searcher(Counting(), rerank_cache_size=0)
    assert [ask(none, collection).reranking.cached for _ in range(2)] == [0, 0]


def test_pages_do_not_depend_on_each_other_and_scores_only_fall(small, make_searcher, collection):
    searcher = make_searcher(Counting())
    long = ask(searcher, collection, top_k=10, rerank_top_n=5)
    assert long.degraded == []
    assert long.reranking.candidates == 5
    assert len(long.hits) > 5
    scores = [hit.score for hit in long.hits]
    assert scores == sorted(scores, reverse=True)
    assert [hit.cross_encoder is not None for hit in long.hits[:6]] == [True] * 5 + [False]
    for top_k in (1, 3, 7):
        short = ask(searcher, collection, top_k=top_k, rerank_top_n=5)
        assert [h.chunk_id for h in short.hits] == [h.chunk_id for h in long.hits[:top_k]]
    threshold = scores[2]
    cut = ask(searcher, collection, top_k=10, rerank_top_n=5, min_score=threshold)
    assert [h.chunk_id for h in cut.hits] == [h.chunk_id for h in long.hits if h.score >= threshold]


def test_alpha_0_is_the_order_of_the_first_stage(small, make_searcher, collection):
    searcher = make_searcher(Counting())
    first = ask(searcher, collection, strategy="hybrid", top_k=20)
    weighed = ask(searcher, collection, rerank_alpha=0.0, top_k=20)
    assert [h.chunk_id for h in weighed.hits] == [h.chunk_id for h in first.hits]
    best = first.hits[0].score
    assert [h.score for h in weighed.hits] == pytest.approx([h.score / best for h in first.hits])


def test_a_threshold_is_not_applied_to_scores_of_another_scale(small, make_searcher, collection):
    result = ask(make_searcher(None), collection, min_score=0.5)
    assert result.hits
    assert list(result.degraded) == ["rerank", "min_score"]


def test_explain_says_what_was_scored_and_remembered(small, make_searcher, collection, es):
    searcher = make_searcher(Counting())
    http = TestClient(create_app(load_settings(), lambda _: (searcher, es[1])))
    body = {"query": "一年能歇几天", "collection": collection, "explain": True}
    for cached in (False, True):
        told = http.post("/api/v1/search", json=body).json()
        done = told["reranking"]
        assert done["scored"] == done["candidates"] > 0
        assert done["cached"] == (done["scored"] if cached else 0)
        assert "cross_encoder" in told["hits"][0]["explain"]
    assert "reranking" not in http.post("/api/v1/search", json={**body, "explain": False}).json()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_model_of_the_users_own(precision, small, es, segmenter, encoder, collection, tmp_path):
    from bothways.models.rerank.cross_encoder import load_cross_encoder

    chosen = load_settings(
        cache_dir=tmp_path,
        reranker_model=str(cross_encoder_folder(tmp_path / "reranker")),
        reranker_precision=precision,
    )
    searcher = Searcher(
        es[0],
        segmenter,
        lambda: encoder,
        embedding_model="fake/hash",
        cross_encoder=lambda: load_cross_encoder(chosen),
    )
    result = ask(searcher, collection, rerank_budget_ms=60_000, top_k=10)
    assert result.degraded == []
    logits = [hit.cross_encoder for hit in result.hits]
    assert logits == sorted(logits, reverse=True)
    assert [hit.score for hit in result.hits] == pytest.approx([sigmoid(logit) for logit in logits])


def test_tuning_alpha_tells_what_searching_with_it_gives(handbook, queries, make_searcher, collection):
    model = Counting()
    searcher = make_searcher(model)
    grid = make_grid(
        ["rerank.alpha", "convex.weight"], OPTIONS, {"rerank.alpha": [0.0, 0.3, 0.6], "convex.weight": [0.5]}
    )
    found = tune(searcher, collection, queries, grid, options=OPTIONS, folds=2)
    asked = model.pairs
    assert len(found.trials) == 4 * 2
    assert len({round(mean, 9) for _, mean in found.trials}) > 1
    for fields, mean in found.trials:
        there = evaluate_collection(
            searcher,
            collection,
            queries,
            ["hybrid_rerank"],
            options=OPTIONS.replace(**fields, rerank_budget_ms=60_000),
        )
        assert there.strategies["hybrid_rerank"]["ndcg@10"] == pytest.approx(mean, abs=1e-9)
    # Every pair was scored once for all alphas: what the searches asked for was in memory already.
    assert model.pairs == asked


def test_there_is_no_alpha_without_a_reranker(handbook, queries, make_searcher, collection):
    with pytest.raises(UsageError, match="BOTHWAYS_RERANKER_MODEL"):
        tune(make_searcher(None), collection, queries, make_grid(["rerank.alpha"], OPTIONS), options=OPTIONS)


def test_calibrating_tells_what_searching_with_the_threshold_gives(handbook, make_searcher, collection):
    searcher = make_searcher(Counting())
    judged = load_queries(HANDBOOK / "queries.jsonl")
    found = calibrate(searcher, collection, judged, options=OPTIONS, precision=0.3, folds=4)
    assert found.proposed.precision >= 0.3
    assert found.is_setting
    kept = [ask(searcher, collection, q.text, top_k=1, rerank_min_score=found.proposed.min_score).hits for q in judged]
    assert sum(map(bool, kept)) / len(judged) == pytest.approx(found.proposed.answered)


def test_calibrating_refuses_scores_of_another_scale(handbook, queries, make_searcher, collection):
    with pytest.raises(UsageError, match="ran without rerank"):
        calibrate(make_searcher(None), collection, queries, options=OPTIONS)
    found = calibrate(make_searcher(None), collection, queries, options=OPTIONS.replace(strategy="hybrid"), precision=0)
    assert not found.is_setting
    assert found.proposed.answered == 1.0


def test_calibrating_refuses_indexed_questions_and_too_few(handbook, queries, make_searcher, collection, stored):
    chunk = next(iter(stored().values()))
    leaked = [JudgedQuery(query_id="leak", text=chunk["questions"][0]["text"], relevant={chunk["doc_id"]: 1}), *queries]
    searcher = make_searcher(Counting())
    with pytest.raises(EvaluationError, match="word for word"):
        calibrate(searcher, collection, leaked, options=OPTIONS)
    with pytest.raises(UsageError, match="too few"):
        calibrate(searcher, collection, queries[:5], options=OPTIONS)
