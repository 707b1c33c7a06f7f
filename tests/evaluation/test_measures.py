from __future__ import annotations

import math

import pytest

from evaluation.measures import evaluate


def test_by_hand():
    qrels = {"q1": {"a": 1, "b": 1}, "q2": {"c": 1}}
    run = {"q1": {"x": 3.0, "a": 2.0, "b": 1.0}, "q2": {"c": 1.0}}
    means, rows = evaluate(qrels, run, [1, 3])
    ideal = 1 + 1 / math.log2(3)
    assert rows["q1"]["hit@1"] == 0
    assert rows["q1"]["hit@3"] == 1
    assert rows["q1"]["mrr@10"] == pytest.approx(1 / 2)
    assert rows["q1"]["ndcg@10"] == pytest.approx((1 / math.log2(3) + 1 / 2) / ideal)
    assert rows["q1"]["map"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert means["hit@1"] == pytest.approx(0.5)
    assert means["mrr@10"] == pytest.approx(0.75)


def test_a_query_that_the_run_lacks_scores_zero_and_counts():
    means, rows = evaluate({"q1": {"a": 1}, "q2": {"b": 1}}, {"q1": {"a": 1.0}}, [10])
    assert means["hit@10"] == 0.5
    assert rows["q2"] == {"hit@10": 0.0, "mrr@10": 0.0, "ndcg@10": 0.0, "map": 0.0}


def test_a_query_without_gold_in_the_index_scores_zero_and_counts():
    means, _ = evaluate({"q1": {"a": 1}, "q2": {}}, {"q1": {"a": 1.0}, "q2": {"z": 1.0}}, [10])
    assert means["hit@10"] == 0.5
