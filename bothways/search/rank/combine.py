"""How a strategy makes one ranking of its legs: which are cut, combined and fused, with which weights.

The measurements are in docs/decisions/fusion.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bothways.core.datatypes import Leg
from bothways.core.results import Hit
from bothways.search.options import SearchOptions
from bothways.search.rank.fuse import convex, cut_off, dense_mean, rrf, rrf_scores, union

UNRELATED: Mapping[Leg, float] = {"bm25": 0.0, "text_sem": 0.5, "questions": 0.5}
"""The score of a hit that has nothing to do with the query. Elasticsearch gives (1 + cosine) / 2 for vectors."""


def fuse(legs: Mapping[Leg, Sequence[Hit]], options: SearchOptions) -> list[Hit]:
    """Return one ranking of the legs, as the strategy needs it."""
    bm25, text, questions = (
        cut_off(legs.get(leg, ()), options.leg_cutoff, least=UNRELATED[leg])
        for leg in ("bm25", "text_sem", "questions")
    )
    match options.strategy:
        case "bm25":
            return bm25
        case "dense" | "dense_q2d":
            return text
        case "questions":
            return questions
        case "dedup":
            return union([bm25, text, questions])
        case "hybrid" | "hybrid_rerank" | "hybrid_q2d" | "hybrid_q2d_rerank":
            return _fused(bm25, dense_mean(text, questions, weight=options.weight_questions), options)


def by_score(
    bm25: Sequence[Hit],
    dense: Sequence[Hit],
    *,
    weight: float,
    depth: int,
    reciprocal: Mapping[str, float] | None = None,
) -> list[Hit]:
    """Fuse BM25 and the dense ranking by their scores; `weight` (0 to 1) is that of BM25.

    `depth` is the number of hits that each leg was asked for.
    """
    least = (UNRELATED["bm25"], UNRELATED["text_sem"])
    return convex([bm25, dense], weights=(weight, 1 - weight), least=least, depth=depth, reciprocal=reciprocal)


def _fused(bm25: Sequence[Hit], dense: Sequence[Hit], options: SearchOptions) -> list[Hit]:
    """Fuse as the options say; every hit gets its `rrf` score, whatever it is ordered by."""
    weights = (options.weight_bm25, options.weight_dense)
    if options.fusion == "rrf":
        return rrf([bm25, dense], weights=weights, rank_constant=options.rank_constant)
    reciprocal = rrf_scores([bm25, dense], weights=weights, rank_constant=options.rank_constant)
    return by_score(bm25, dense, weight=options.convex_weight, depth=options.depth, reciprocal=reciprocal)
