from __future__ import annotations

import pytest

from bothways.core.datatypes import Hit, LegScore
from bothways.search.query.weak import DEPTH, is_weak


def leg(name, scores):
    return [Hit(chunk_id=f"c{at}", score=s, legs={name: LegScore(rank=at + 1, score=s)}) for at, s in enumerate(scores)]


def falling(first, tenth):
    """Give twelve scores of which the tenth is known; they fall evenly."""
    step = (first - tenth) / (DEPTH - 1)
    return [first - step * at for at in range(12)]


@pytest.mark.parametrize(
    ("tenth_bm25", "tenth_dense", "weak"),
    # The gap: .2 of what BM25 falls from 10, and .8 of what a vector's score falls from .9, counted from .5.
    [(10, 0.9, True), (6, 0.9, True), (4.9, 0.9, False), (10, 0.86, True), (10, 0.84, False), (1, 0.6, False)],
)
def test_questions_of_which_no_hit_stands_out_are_weak(tenth_bm25, tenth_dense, weak):
    legs = {"bm25": leg("bm25", falling(10, tenth_bm25)), "text_sem": leg("text_sem", falling(0.9, tenth_dense))}
    assert is_weak(legs, depth=12) is weak


def test_vectors_alone_have_a_bound_of_their_own():
    assert is_weak({"text_sem": leg("text_sem", falling(0.9, 0.88))}, depth=12) is True  # a gap of .05
    assert is_weak({"text_sem": leg("text_sem", falling(0.9, 0.868))}, depth=12) is False  # of .08


def test_words_alone_are_never_weak():
    assert is_weak({"bm25": leg("bm25", [1.0] * 12)}, depth=12) is False


def test_of_few_hits_nothing_can_be_told():
    assert is_weak({"text_sem": leg("text_sem", [0.9] * 9)}, depth=12) is False
    assert is_weak({"text_sem": leg("text_sem", [0.9] * 10)}, depth=12) is True
    assert is_weak({}, depth=12) is False
