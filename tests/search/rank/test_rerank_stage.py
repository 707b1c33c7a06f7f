from __future__ import annotations

import pytest

from bothways.core.errors import ModelError
from bothways.core.results import Hit, Reranking
from bothways.search.options import SearchOptions
from bothways.search.rank.rerank import Reranker, rerank
from bothways.search.rank.rerank_stage import above_threshold, rerank_stage
from bothways.search.rank.rerankers import load_reranker
from tests.fakes import OverlapCrossEncoder
from tests.search.rank.slow_model import Clock, Slow, numbered
from tests.search.states import state_of


def reranked(hits, *, text="x", **options):
    """A state before reranking."""
    return state_of(hits, text=text, options=SearchOptions(**{"strategy": "hybrid_rerank", **options}))


def test_the_stage_reorders_its_candidates_and_the_rest_follows():
    hits = [
        Hit(chunk_id="a", score=0.5, text="天气"),
        Hit(chunk_id="b", score=0.4, text="合同"),
        Hit(chunk_id="c", score=0.3, text="合同违约"),
    ]
    reranker = load_reranker(OverlapCrossEncoder, cache_size=10)
    state = rerank_stage(reranked(hits, text="合同违约", rerank_top_n=2), lambda: reranker)
    assert [h.chunk_id for h in state.hits] == ["b", "a", "c"]  # c is no candidate, so it was not looked at
    assert state.reranking == Reranking(candidates=2, scored=2, cached=0)
    assert state.degraded == ()


class Measured(OverlapCrossEncoder):
    """One of which the best share is known."""

    alpha = 0.4


@pytest.mark.parametrize(
    ("model", "chosen", "used"),
    [(OverlapCrossEncoder, None, 1.0), (Measured, None, 0.4), (Measured, 0.7, 0.7), (Measured, 0.0, 0.0)],
)
def test_what_is_set_goes_before_what_was_measured(model, chosen, used):
    hits = [
        Hit(chunk_id="a", score=0.5, text="天气"),
        Hit(chunk_id="b", score=0.4, text="合同"),
        Hit(chunk_id="c", score=0.3, text="合同违约"),
    ]
    reranker = load_reranker(model, cache_size=10)
    ranked = rerank_stage(reranked(hits, text="合同违约", rerank_alpha=chosen), lambda: reranker).hits
    logits = {hit.chunk_id: hit.cross_encoder for hit in ranked}
    assert ranked == rerank(hits, logits, alpha=used)


def test_the_stage_says_where_time_was_short():
    clock = Clock()
    reranker = Reranker(Slow(clock), clock=clock)
    state = rerank_stage(reranked(numbered(3), text="0问", rerank_budget_ms=100), lambda: reranker)
    assert (state.reranking.scored, state.degraded) == (1, ("rerank",))
    assert [h.chunk_id for h in state.hits] == ["c00", "c01", "c02"]
    assert state.hits[0].cross_encoder == 1.0


def test_without_any_score_the_hits_stay_as_they_are():
    def broken():
        raise ModelError("gone")

    before = reranked(numbered(2))
    for load in (broken, lambda: None):
        assert rerank_stage(before, load) == before.without("rerank")


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [
        ({}, ["a", "b"]),
        ({"min_score": 0.6}, ["a"]),
        ({"rerank_min_score": 0.6}, ["a"]),
        ({"rerank_min_score": 0.6, "min_score": 0.1}, ["a", "b"]),
        ({"rerank_min_score": 0.6, "strategy": "hybrid"}, ["a", "b"]),
        ({"min_score": 0.5}, ["a", "b"]),
    ],
)
def test_a_threshold_of_the_request_or_of_the_settings(chosen, kept):
    hits = [Hit(chunk_id="a", score=0.9, cross_encoder=2.2), Hit(chunk_id="b", score=0.5, cross_encoder=0.0)]
    state = above_threshold(reranked(hits, **chosen))
    assert [h.chunk_id for h in state.hits] == kept
    assert state.degraded == ()


def test_a_threshold_for_reranked_scores_does_not_cut_others():
    hits = [Hit(chunk_id="a", score=0.03), Hit(chunk_id="b", score=0.02)]
    before = reranked(hits, min_score=0.5)
    assert above_threshold(before) == before.without("min_score")
    assert above_threshold(reranked([], min_score=0.5)).degraded == ()
    assert above_threshold(reranked(hits, min_score=0.025, strategy="hybrid")).hits == hits[:1]
