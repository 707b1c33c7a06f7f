"""Reranking as a stage of a search: its candidates, its time, its threshold, and what happens where it cannot run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from bothways.core.access import ADMIN, Access
from bothways.core.datatypes import Hit, Reranking
from bothways.core.errors import MissingExtraError, ModelError
from bothways.models.protocols import CrossEncoder, LimitedReader
from bothways.search.options import RERANKED, SearchOptions
from bothways.search.rank.rerank import Reranker

log = structlog.get_logger()


def load_reranker(cross_encoder: Callable[[], CrossEncoder | None], *, cache_size: int) -> Reranker | None:
    """Load the cross-encoder and give the reranker of it; None where none is set."""
    model = cross_encoder()
    if model is None:
        return None
    return Reranker(model, cache_size=cache_size, at_once=model.at_once if isinstance(model, LimitedReader) else 1)


def warm_up_reranker(load: Callable[[], Reranker | None]) -> None:
    """Load the cross-encoder now; one that cannot be is left to the searches, which do without."""
    try:
        if (reranker := load()) is not None:
            reranker.warm_up()
    except (ModelError, MissingExtraError) as error:
        log.warning("reranker_failed", reason=str(error))


def rerank_stage(
    load: Callable[[], Reranker | None],
    query: str,
    hits: list[Hit],
    options: SearchOptions,
    degraded: list[str],
    *,
    whose: Access = ADMIN,
) -> tuple[list[Hit], Reranking | None]:
    """Reorder the hits by the cross-encoder, as far as its time goes.

    The first `rerank_top_n` are its candidates, whatever page is asked for, so that pages do not depend on each other.
    Where a candidate was left unscored, "rerank" is added to `degraded`. Without any score the hits stay as they are.
    The time does not count what loading the model takes, once. Callers with groups (`whose`) are neither told nor
    can see by the time what was scored for others: their scores are kept apart, and `cached` is None.
    """
    try:
        reranker = load()
        if reranker is not None:
            candidates = hits[: options.rerank_top_n]
            scores = reranker.score(query, candidates, budget_s=options.rerank_budget_ms / 1000, whose=whose)
            if not scores.complete:
                log.warning("rerank_cut", scored=len(scores.logits), of=scores.candidates, reason=scores.reason)
                degraded.append("rerank")
            done = Reranking(scores.candidates, len(scores.logits), scores.cached if whose.is_admin else None)
            if not scores.logits:
                return hits, done
            return reranker.reorder(hits, scores.logits, alpha=options.rerank_alpha), done
    except (ModelError, MissingExtraError) as error:
        log.warning("rerank_failed", reason=str(error))
    degraded.append("rerank")
    return hits, None


def above_threshold(hits: Sequence[Hit], options: SearchOptions, degraded: list[str]) -> list[Hit]:
    """Drop the hits that score less than `min_score`, which is on the scale of the strategy's last stage.

    On a reranked strategy that is 0 to 1, and `rerank_min_score` holds where a request names none. Where nothing was
    reranked the scores are of another scale: nothing is dropped then, and "min_score" is added to `degraded`.
    """
    wanted = options.min_score
    if options.strategy in RERANKED:
        wanted = options.rerank_min_score if wanted is None else wanted
        if wanted is not None and hits and all(hit.cross_encoder is None for hit in hits):
            degraded.append("min_score")
            return list(hits)
    return [hit for hit in hits if wanted is None or hit.score >= wanted]
