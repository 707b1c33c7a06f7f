from __future__ import annotations

import tracemalloc

import pytest

from bothways.evaluation.judged.gold import GoldDocument
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.evaluation.run import Answer, run_strategies
from tests.evaluation.made_up import finds_at, gold_of, queries


def test_numbers_by_query_strategy_and_measure():
    strategies = {"first": finds_at(lambda n: 1, ms=5.0), "second": finds_at(lambda n: 2 if n else None)}
    rows = []
    tally = run_strategies(queries(3), strategies, gold_of, ks=[1, 10], slices=["tag"], sink=rows.append)
    assert tally.queries == 3
    assert list(tally.values["first"]["hit@1"]) == [1, 1, 1]
    assert list(tally.values["second"]["mrr@10"]) == [0, 0.5, 0.5]
    assert list(tally.times["first"]) == [5.0, 5.0, 5.0]
    assert len(tally.times["second"]) == 0
    assert tally.labels == {"tag": ["t0", "t1", "t0"]}
    assert [row.scored["second"].first_gold for row in rows] == [None, 2, 2]
    assert [row.failed("second", 1) for row in rows] == [True, True, True]
    assert [row.failed("second", 2) for row in rows] == [True, False, False]


def test_the_strategies_take_turns_in_going_first():
    asked = []

    def ask(name):
        return lambda query: asked.append(f"{query.query_id}{name}") or Answer(ranking={})

    run_strategies(queries(3), {"a": ask("a"), "b": ask("b")}, gold_of, ks=[1])
    assert asked == ["q0a", "q0b", "q1b", "q1a", "q2a", "q2b"]


def test_documents_that_are_not_in_the_index_are_counted_and_named():
    def some_missing(batch):
        return {
            "q0": [
                GoldDocument(doc_id="d0", relevance=1, in_index=True),
                GoldDocument(doc_id="gone", relevance=1, in_index=False),
            ],
            "q1": [
                GoldDocument(doc_id="law=L,article=9", relevance=1, in_index=False),
                GoldDocument(doc_id="worthless", relevance=0, in_index=True),
            ],
        }

    tally = run_strategies(queries(2), {"a": finds_at(lambda n: 1)}, some_missing, ks=[1])
    assert (tally.missing, tally.unanswerable) == (2, ["q1"])
    assert tally.missing_named == ["q0: gone", "q1: law=L,article=9"]
    assert list(tally.values["a"]["recall@1"]) == [0.5, 0.0]


def test_missing_documents_are_named_up_to_a_limit():
    def none_there(batch):
        return {
            q.query_id: [GoldDocument(doc_id=f"d{at}", relevance=1, in_index=False) for at in range(60)] for q in batch
        }

    tally = run_strategies(queries(3), {"a": finds_at(lambda n: 1)}, none_there, ks=[1])
    assert (tally.missing, len(tally.missing_named)) == (180, 100)


def test_degraded_searches_are_counted():
    strategies = {"a": finds_at(lambda n: 1, degraded=["rerank"]), "b": finds_at(lambda n: 1)}
    assert run_strategies(queries(4), strategies, gold_of, ks=[1]).degraded == {"a": {"rerank": 4}}


def test_memory_does_not_grow_with_the_number_of_queries():
    strategies = {name: finds_at(lambda n: 3, ms=1.0) for name in "abcdef"}

    def peak(n):
        many = [JudgedQuery(query_id=f"q{at}", text="问", relevant={f"d{at}": 1}) for at in range(n)]
        tracemalloc.start()
        run_strategies(many, strategies, gold_of, ks=[1, 10], slices=["length"])
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = peak(100), peak(500)
    # What stays is one number a query, strategy and measure: 6 x 12 x 8 bytes. One ranking alone would take 3 kB.
    assert many - few < 400 * 1500, (few, many)


@pytest.mark.parametrize("n", [0, 1, 50, 51])
def test_every_query_counts_once(n):
    seen = []
    tally = run_strategies(
        queries(n), {"a": finds_at(lambda n: 1)}, gold_of, ks=[1], sink=lambda row: seen.append(row.query.query_id)
    )
    assert tally.queries == n
    assert seen == [f"q{at}" for at in range(n)]
