from __future__ import annotations

import math
import random

import ir_measures
import pytest

from bothways.core.errors import UsageError
from bothways.evaluation.measures import evaluate, measures_of, require_measure, table_columns


def test_by_hand():
    qrels = {"q1": {"a": 1, "b": 1}, "q2": {"c": 1}}
    run = {"q1": {"x": 3.0, "a": 2.0, "b": 1.0}, "q2": {"c": 1.0}}
    rows = evaluate(qrels, run, measures_of([1, 3]))
    ideal = 1 + 1 / math.log2(3)
    assert rows["q1"]["hit@1"] == 0
    assert rows["q1"]["hit@3"] == 1
    assert rows["q1"]["mrr@1"] == 0
    assert rows["q1"]["mrr@10"] == pytest.approx(1 / 2)
    assert rows["q1"]["recall@3"] == 1
    assert rows["q1"]["ndcg@10"] == pytest.approx((1 / math.log2(3) + 1 / 2) / ideal)
    assert rows["q1"]["map"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert set(rows["q2"].values()) == {1.0}


def test_agrees_with_ir_measures():
    numbers = random.Random(7)
    qrels = {f"q{q}": {f"d{numbers.randrange(40)}": numbers.randrange(1, 4) for _ in range(4)} for q in range(60)}
    run = {f"q{q}": {f"d{d}": numbers.random() for d in numbers.sample(range(60), 30)} for q in range(55)}
    named = measures_of([1, 3, 5, 10])
    rows = evaluate(qrels, run, named)
    theirs = ir_measures.calc_aggregate(list(named.values()), qrels, run)
    for name, measure in named.items():
        assert sum(row[name] for row in rows.values()) / 60 == pytest.approx(theirs[measure], abs=1e-9)


def test_a_query_that_the_run_lacks_scores_zero_and_counts():
    rows = evaluate({"q1": {"a": 1}, "q2": {"b": 1}}, {"q1": {"a": 1.0}}, measures_of([10]))
    assert rows["q1"]["hit@10"] == 1.0
    assert set(rows["q2"].values()) == {0.0}


def test_a_query_without_gold_scores_zero_and_counts():
    rows = evaluate({"q1": {"a": 1}, "q2": {}}, {"q1": {"a": 1.0}, "q2": {"z": 1.0}}, measures_of([10]))
    assert set(rows["q2"].values()) == {0.0}


def test_names():
    assert table_columns([1, 5]) == ["hit@1", "hit@5", "mrr@10", "ndcg@10", "recall@5", "map"]
    assert set(table_columns([1, 5])) <= set(measures_of([1, 5]))
    assert require_measure("mrr@10", [1]) == "mrr@10"
    with pytest.raises(UsageError, match="must be among --k"):
        require_measure("ndcg@20", [1, 10])
    with pytest.raises(UsageError, match="no measure 'accuracy'"):
        require_measure("accuracy", [1, 10])
