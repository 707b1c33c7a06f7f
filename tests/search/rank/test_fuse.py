from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.core.results import Hit, LegScore
from bothways.search.rank.fuse import convex, cut_off, dense_mean, merge, rrf, union


def ranking(leg, *rows):
    return [
        Hit(chunk_id=c, score=s, legs={leg: LegScore(rank=rank, score=s)}) for rank, (c, s) in enumerate(rows, start=1)
    ]


def test_rrf_by_hand():
    a = ranking("bm25", ("x", 9.0), ("y", 5.0))
    b = ranking("text_sem", ("y", 0.9), ("z", 0.8))
    fused = rrf([a, b])
    assert [hit.chunk_id for hit in fused] == ["y", "x", "z"]
    assert fused[0].score == pytest.approx(1 / 62 + 1 / 61)
    assert fused[0].rrf == fused[0].score
    assert fused[1].score == pytest.approx(1 / 61)
    assert fused[0].legs == {"bm25": LegScore(rank=2, score=5.0), "text_sem": LegScore(rank=1, score=0.9)}


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


def test_convex_by_hand():
    bm25 = ranking("bm25", ("x", 8.0), ("y", 4.0))
    dense = ranking("text_sem", ("y", 0.9), ("z", 0.7))
    # x: 1 and, missing, z's .5; y: .5 and 1; z: (.7 - .5) / (.9 - .5) = .5 and, missing, y's .5.
    fused = convex([bm25, dense], weights=(0.25, 0.75), least=(0, 0.5), depth=2)
    assert [(h.chunk_id, pytest.approx(h.score)) for h in fused] == [("y", 0.875), ("x", 0.625), ("z", 0.5)]
    assert fused[0].convex == fused[0].score
    assert fused[0].legs == {"bm25": LegScore(rank=2, score=4.0), "text_sem": LegScore(rank=1, score=0.9)}


def test_a_ranking_that_holds_all_that_match_gives_the_others_nothing():
    bm25 = ranking("bm25", ("x", 8.0))
    dense = ranking("text_sem", ("y", 0.9), ("z", 0.8), ("x", 0.7))
    # Words match x alone: y and z have 0 there, and not x's own score.
    fused = convex([bm25, dense], weights=(0.5, 0.5), least=(0, 0.5), depth=3)
    assert [(h.chunk_id, pytest.approx(h.score)) for h in fused] == [("x", 0.75), ("y", 0.5), ("z", 0.375)]


def test_only_the_ratio_of_the_weights_counts():
    rankings = [ranking("bm25", ("x", 8.0), ("y", 4.0)), ranking("text_sem", ("y", 0.9), ("z", 0.7))]
    one, ten = (convex(rankings, weights=(w, 3 * w), least=(0, 0.5), depth=2) for w in (1, 10))
    assert [h.score for h in one] == pytest.approx([h.score for h in ten])


def test_convex_of_a_ranking_alone_keeps_its_order():
    dense = ranking("text_sem", ("y", 0.9), ("z", 0.7))
    for other in ([], ranking("bm25", ("x", 8.0))):
        weights = (0.2 if not other else 0.0, 0.8)
        fused = convex([other, dense], weights=weights, least=(0, 0.5), depth=2)
        assert [(h.chunk_id, pytest.approx(h.score)) for h in fused] == [("y", 1.0), ("z", 0.5)]
    assert convex([[], []], weights=(1, 1), least=(0, 0), depth=1) == []


def test_scores_below_the_least_count_as_it():
    fused = convex([ranking("text_sem", ("x", 0.4), ("y", 0.3))], weights=(1,), least=(0.5,), depth=2)
    assert [(h.chunk_id, h.score) for h in fused] == [("x", 0.0), ("y", 0.0)]


def test_convex_of_equal_scores_the_earlier_ranking_comes_first():
    fused = convex([ranking("bm25", ("b", 1)), ranking("text_sem", ("a", 1))], weights=(1, 1), least=(0, 0), depth=1)
    assert [h.chunk_id for h in fused] == ["b", "a"]


def test_convex_refuses_other_numbers():
    with pytest.raises(ValueError, match="2 rankings, but 1 weights and 2 least"):
        convex([[], []], weights=[1.0], least=[0, 0], depth=1)


@pytest.mark.parametrize(
    ("share", "least", "left"),
    [(0, 0, "xyz"), (0.5, 0, "xy"), (0.51, 0, "x"), (1, 0, "x"), (0.2, 0, "xyz"), (0.2, 2, "xy"), (0.5, 3, "x")],
)
def test_cut_off(share, least, left):
    # Of 10 above 2, a fifth is 3.6: y's 5 stays, z's 2 goes. Of 10 above 3, a half is 6.5: y goes, too.
    rows = ranking("bm25", ("x", 10.0), ("y", 5.0), ("z", 2.0))
    assert "".join(h.chunk_id for h in cut_off(rows, share, least=least)) == left
    assert cut_off([], share, least=least) == []


ids = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)


@given(ids, ids)
def test_rrf_holds_each_hit_once_and_is_sorted(first, second):
    a = ranking("bm25", *((c, 1.0) for c in first))
    b = ranking("text_sem", *((c, 1.0) for c in second))
    fused = rrf([a, b])
    assert {h.chunk_id for h in fused} == set(first) | set(second) == set(merge([a, b]))
    assert [h.score for h in fused] == sorted((h.score for h in fused), reverse=True)


@given(ids, ids, st.floats(0.01, 0.99))
def test_convex_holds_each_hit_once_and_is_sorted(first, second, weight):
    a = ranking("bm25", *((c, 9.0 - at) for at, c in enumerate(first)))
    b = ranking("text_sem", *((c, 0.9 - at / 30) for at, c in enumerate(second)))
    fused = convex([a, b], weights=(weight, 1 - weight), least=(0, 0.5), depth=2)
    assert {h.chunk_id for h in fused} == set(first) | set(second)
    assert [h.score for h in fused] == sorted((h.score for h in fused), reverse=True)
    assert all(0 <= h.score <= 1.0000001 for h in fused)
