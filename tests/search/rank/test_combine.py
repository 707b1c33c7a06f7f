from __future__ import annotations

import pytest

from bothways.core.results import Hit, LegScore
from bothways.search.options import SearchOptions
from bothways.search.rank.combine import by_score, fuse


def ranking(leg, *rows):
    return [
        Hit(chunk_id=c, score=s, legs={leg: LegScore(rank=rank, score=s)}) for rank, (c, s) in enumerate(rows, start=1)
    ]


LEGS = {
    "bm25": ranking("bm25", ("b", 9), ("s", 8), ("w", 1)),
    "text_sem": ranking("text_sem", ("t", 0.9), ("s", 0.89)),
    "questions": ranking("questions", ("q", 0.9), ("s", 0.89)),
}


@pytest.mark.parametrize("fusion", ["convex", "rrf"])
@pytest.mark.parametrize(
    ("strategy", "first"), [("bm25", "b"), ("dense", "t"), ("questions", "q"), ("hybrid", "s"), ("dedup", "b")]
)
def test_strategies(strategy, first, fusion):
    assert fuse(LEGS, SearchOptions(strategy=strategy, fusion=fusion))[0].chunk_id == first


@pytest.mark.parametrize("fusion", ["convex", "rrf"])
def test_a_failed_leg_is_an_empty_one(fusion):
    found = fuse({"bm25": ranking("bm25", ("b", 9))}, SearchOptions(strategy="hybrid", fusion=fusion))
    assert [h.chunk_id for h in found] == ["b"]
    assert fuse({}, SearchOptions(strategy="hybrid", fusion=fusion)) == []


def test_convex_tells_of_ranks_too():
    legs = {"bm25": LEGS["bm25"], "text_sem": LEGS["text_sem"]}
    found = {h.chunk_id: h for h in fuse(legs, SearchOptions(strategy="hybrid", convex_weight=0.5))}
    assert found["s"].rrf == pytest.approx(1 / 62 + 1 / 62)
    # 8 / 9 of BM25's best, and .39 / .4 of the dense one's.
    assert found["s"].score == found["s"].convex == pytest.approx((8 / 9 + 0.39 / 0.4) / 2)
    assert fuse(legs, SearchOptions(strategy="hybrid", fusion="rrf"))[0].convex is None


def test_the_weight_is_the_share_of_the_words():
    bm25, dense = ranking("bm25", ("b", 9), ("x", 1)), ranking("text_sem", ("t", 0.9), ("x", 0.6))
    assert by_score(bm25, dense, weight=0.9, depth=2)[0].chunk_id == "b"
    assert by_score(bm25, dense, weight=0.1, depth=2)[0].chunk_id == "t"
    assert [h.chunk_id for h in by_score(bm25, dense, weight=0, depth=2)] == ["t", "x"]


def test_a_leg_is_cut_at_a_share_of_its_best_score():
    assert [h.chunk_id for h in fuse(LEGS, SearchOptions(strategy="bm25", leg_cutoff=0.2))] == ["b", "s"]
    # A cosine of .78 against .8: a vector's score counts from .5 on.
    assert [h.chunk_id for h in fuse(LEGS, SearchOptions(strategy="dense", leg_cutoff=0.98))] == ["t"]
    assert "w" not in {h.chunk_id for h in fuse(LEGS, SearchOptions(strategy="hybrid", leg_cutoff=0.2))}
