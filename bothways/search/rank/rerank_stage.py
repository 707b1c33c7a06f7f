"""Reranking as a stage of a search: its candidates, its time, its threshold, and what happens where it cannot run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from bothways.core.access.groups import ADMIN, Access
from bothways.core.errors import MissingExtraError, ModelError
from bothways.core.results import Reranking
from bothways.search.options import RERANKED
from bothways.search.rank.rerank import Reranker
from bothways.search.state import SearchState

log = structlog.get_logger()


def rerank_stage(state: SearchState, load: Callable[[], Reranker | None], *, access: Access = ADMIN) -> SearchState:
    """Reorder the hits by the cross-encoder, as far as its time goes; the time to load it does not count.

    The first `rerank_top_n` hits are its candidates, whatever page is asked for, so that pages do not depend on each
    other. Where a candidate has no score, "rerank" is added to `degraded`. Without any score the hits stay as they
    are. Scores for callers with groups are kept apart and `cached` is None, so that neither it nor the time reveals
    what was scored for others.
    """
    options = state.options
    try:
        reranker = load()
        if reranker is None:
            return state.without("rerank")
        candidates = state.hits[: options.rerank_top_n]
        scores = reranker.score(state.query.text, candidates, budget_s=options.rerank_budget_ms / 1000, access=access)
    except (ModelError, MissingExtraError) as error:
        log.warning("rerank_failed", reason=str(error))
        return state.without("rerank")
    if not scores.complete:
        log.warning("rerank_cut", scored=len(scores.logits), of=scores.candidates, reason=scores.reason)
        state = state.without("rerank")
    cached = scores.cached if access.is_admin else None
    hits = reranker.reorder(state.hits, scores.logits, alpha=options.rerank_alpha) if scores.logits else state.hits
    return replace(state, hits=hits, reranking=Reranking(scores.candidates, len(scores.logits), cached))


def above_threshold(state: SearchState) -> SearchState:
    """Drop the hits that score less than `min_score`, which is on the scale of the strategy's last stage.

    For a reranked strategy that scale is 0 to 1, and `rerank_min_score` holds where a request has no `min_score`. Where
    nothing was reranked the scores are on another scale: then nothing is dropped, and "min_score" is added to
    `degraded`.
    """
    options, lowest = state.options, state.options.min_score
    if options.strategy in RERANKED:
        lowest = options.rerank_min_score if lowest is None else lowest
        if lowest is not None and state.hits and all(hit.cross_encoder is None for hit in state.hits):
            return state.without("min_score")
    if lowest is None:
        return state
    return replace(state, hits=[hit for hit in state.hits if hit.score >= lowest])
