from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.datatypes import Hit, LegScore
from search.fuse import dense_mean, merge, rrf, union
from search.options import SearchOptions
from search.pipeline import fuse


def ranking(leg, *rows):
    return [Hit(c, s, legs={leg: LegScore(rank, s)}) for rank, (c, s) in enumerate(rows, start=1)]


def test_rrf_by_hand():
    a = ranking("bm25", ("x", 9.0), ("y", 5.0))
    b = ranking("text_sem", ("y", 0.9), ("z", 0.8))
    fused = rrf([a, b])
    assert [hit.chunk_id for hit in fused] == ["y", "x", "z"]
    assert fused[0].score == pytest.approx(1 / 62 + 1 / 61)
    assert fused[0].rrf == fused[0].score
    assert fused[1].score == pytest.approx(1 / 61)
    assert fused[0].legs == {"bm25": LegScore(2, 5.0), "text_sem": LegScore(1, 0.9)}


def test_rrf_weights_change_the_order_and_zero_leaves_a_ranking_out():
    a = ranking("bm25", ("x", 9.0))
    b = ranking("text_sem", ("y", 0.9))
    assert [h.chunk_id for h in rrf([a, b], weights=(1.0, 2.0))] == ["y", "x"]
    assert [h.chunk_id for h in rrf([a, b], weights=(1.0, 0.0))] == ["x"]


def test_of_equal_scores_the_earlier_ranking_comes_first():
    assert [h.chunk_id for h in rrf([ranking("bm25", ("b", 1)), ranking("text_sem", ("a", 1))])] == ["b", "a"]


def test_rrf_refuses_another_number_of_weights():
    with pytest.raises(ValueError, match="2 rankings, but 1 weights"):
        rrf([[], []], weights=[1.0])


def test_dense_mean_gives_a_missing_hit_the_lowest_score_of_that_leg():
    text = ranking("text_sem", ("x", 0.9), ("y", 0.7))
    questions = ranking("questions", ("z", 0.8), ("x", 0.6))
    merged = dense_mean(text, questions)
    assert [(h.chunk_id, pytest.approx(h.score)) for h in merged] == [("x", 0.75), ("z", 0.75), ("y", 0.65)]


def test_dense_mean_without_questions_is_the_text_ranking():
    text = ranking("text_sem", ("x", 0.9), ("y", 0.7))
    assert dense_mean(text, []) == text
    assert dense_mean([], text) == text


def test_union_keeps_the_first_place_of_each():
    rows = union([ranking("bm25", ("x", 3), ("y", 2)), ranking("text_sem", ("z", 1), ("x", 0.5))])
    assert [(h.chunk_id, h.score) for h in rows] == [("x", 1.0), ("y", 0.5), ("z", 1 / 3)]
    assert set(rows[0].legs) == {"bm25", "text_sem"}


ids = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)


@given(ids, ids)
def test_rrf_holds_each_hit_once_and_is_sorted(first, second):
    a = ranking("bm25", *((c, 1.0) for c in first))
    b = ranking("text_sem", *((c, 1.0) for c in second))
    fused = rrf([a, b])
    assert {h.chunk_id for h in fused} == set(first) | set(second) == set(merge([a, b]))
    assert [h.score for h in fused] == sorted((h.score for h in fused), reverse=True)


@pytest.mark.parametrize(
    ("strategy", "first"), [("bm25", "b"), ("dense", "t"), ("questions", "q"), ("hybrid", "s"), ("dedup", "b")]
)
def test_strategies(strategy, first):
    legs = {
        "bm25": ranking("bm25", ("b", 9), ("s", 8)),
        "text_sem": ranking("text_sem", ("t", 0.9), ("s", 0.89)),
        "questions": ranking("questions", ("q", 0.9), ("s", 0.89)),
    }
    assert fuse(legs, SearchOptions(strategy=strategy))[0].chunk_id == first


def test_a_failed_leg_is_an_empty_one():
    assert [h.chunk_id for h in fuse({"bm25": ranking("bm25", ("b", 9))}, SearchOptions(strategy="hybrid"))] == ["b"]
