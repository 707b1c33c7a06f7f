"""Rankings into one ranking; Elasticsearch's own fusion needs a paid licence.

bothways/search/rank/combine.py decides which function a strategy uses, and with which weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bothways.core.datatypes import Leg
from bothways.core.results import Hit, LegScore


def rrf(
    rankings: Sequence[Sequence[Hit]], *, weights: Sequence[float] | None = None, rank_constant: int = 60
) -> list[Hit]:
    """Fuse by reciprocal rank: a hit's score is the sum over rankings of weight / (rank_constant + rank).

    Ranks start at 1; a ranking that lacks a hit adds nothing. Of equal scores, the hit of an earlier ranking comes
    first, so pass the ranking by words first. Cormack, Clarke, Buettcher: Reciprocal Rank
    Fusion outperforms Condorcet and individual Rank Learning Methods, SIGIR 2009.
    """
    scores = rrf_scores(rankings, weights=weights, rank_constant=rank_constant)
    merged = merge(rankings)
    fused = [replace(merged[chunk_id], score=score, rrf=score) for chunk_id, score in scores.items()]
    return sorted(fused, key=lambda hit: -hit.score)


def rrf_scores(
    rankings: Sequence[Sequence[Hit]], *, weights: Sequence[float] | None = None, rank_constant: int = 60
) -> dict[str, float]:
    """Return the scores of `rrf` above 0 by chunk id, in the order of first appearance."""
    if weights is not None and len(weights) != len(rankings):
        raise ValueError(f"{len(rankings)} rankings, but {len(weights)} weights")
    scores: dict[str, float] = {}
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for rank, hit in enumerate(ranking, start=1):
            scores[hit.chunk_id] = scores.get(hit.chunk_id, 0.0) + weight / (rank_constant + rank)
    return {chunk_id: score for chunk_id, score in scores.items() if score > 0}


def convex(
    rankings: Sequence[Sequence[Hit]],
    *,
    weights: Sequence[float],
    least: Sequence[float],
    depth: int,
    reciprocal: Mapping[str, float] | None = None,
) -> list[Hit]:
    """Fuse by scores: a hit's score is the weighted mean of its scores in the rankings, each scaled to 0..1.

    A ranking's best score becomes 1, and `least`, the lowest possible score of its kind, becomes 0; the lowest of
    thirty hits would mean nothing. A hit that a ranking lacks gets the ranking's lowest score, the most that it can
    have there; but it gets 0 in a ranking of fewer than `depth` hits, which has all matches. A ranking without hits, or
    of weight 0, does not count. Of equal scores, the hit of an earlier ranking comes first. This is TM2C2 of Bruch,
    Gai, Ingber: An Analysis of Fusion Functions for Hybrid Retrieval, ACM TOIS 42(1), 2023, except for the lowest score
    and, of vectors, `least`. `reciprocal` are scores of `rrf`, which are noted in the hits.
    """
    if not len(rankings) == len(weights) == len(least):
        raise ValueError(f"{len(rankings)} rankings, but {len(weights)} weights and {len(least)} least scores")
    used: list[tuple[dict[str, float], float, float]] = []
    for ranking, weight, floor in zip(rankings, weights, least, strict=True):
        if ranking and weight > 0:
            scores = _normalised(ranking, floor)
            used.append((scores, min(scores.values()) if len(ranking) >= depth else 0.0, weight))
    total = sum(weight for _, _, weight in used)
    by_rank = reciprocal or {}
    fused = []
    for chunk_id, hit in merge(rankings).items():
        if any(chunk_id in scores for scores, _, _ in used):
            score = sum(weight * scores.get(chunk_id, missing) for scores, missing, weight in used) / total
            fused.append(replace(hit, score=score, convex=score, rrf=by_rank.get(chunk_id)))
    return sorted(fused, key=lambda hit: -hit.score)


def _normalised(ranking: Sequence[Hit], least: float) -> dict[str, float]:
    span = max(hit.score for hit in ranking) - least
    return {hit.chunk_id: max(0.0, (hit.score - least) / span) if span > 0 else 0.0 for hit in ranking}


def cut_off(ranking: Sequence[Hit], share: float, *, least: float = 0.0) -> list[Hit]:
    """Return the hits with at least `share` (0 to 1) of the first one's score, counted from `least` on."""
    if not ranking or share <= 0:
        return list(ranking)
    lowest = least + share * (ranking[0].score - least)
    return [hit for hit in ranking if hit.score >= lowest]


def dense_mean(text: Sequence[Hit], questions: Sequence[Hit], *, weight: float = 0.5) -> list[Hit]:
    """Merge the two dense legs into one ranking, by the weighted mean of the text's score and its best question's.

    `weight` is the share of the question's score, from 0 to 1. A hit that one leg lacks gets the leg's lowest score,
    the most that it can have there. Without questions in the collection, the text's ranking is the result. This was
    better than either leg alone, than their maximum and than fusing three rankings (docs/decisions/fusion.md).
    """
    if not text or not questions:
        return list(text or questions)
    lowest_text, lowest_question = text[-1].score, questions[-1].score

    def with_mean(hit: Hit, legs: Mapping[Leg, LegScore]) -> Hit:
        text_score = legs["text_sem"].score if "text_sem" in legs else lowest_text
        question_score = legs["questions"].score if "questions" in legs else lowest_question
        return replace(hit, legs=legs, score=(1 - weight) * text_score + weight * question_score)

    others = {hit.chunk_id: hit for hit in questions}
    merged = []
    for hit in text:
        other = others.pop(hit.chunk_id, None)
        merged.append(with_mean(hit, {**hit.legs, **other.legs} if other else hit.legs))
    merged += [with_mean(hit, hit.legs) for hit in others.values()]
    return sorted(merged, key=lambda hit: (-hit.score, hit.chunk_id))


def union(rankings: Sequence[Sequence[Hit]]) -> list[Hit]:
    """Return the rankings one after another without repetitions, as a baseline; the score is 1 / rank."""
    return [replace(hit, score=1 / rank) for rank, hit in enumerate(merge(rankings).values(), start=1)]


def merge(rankings: Sequence[Sequence[Hit]]) -> dict[str, Hit]:
    """Return the hits of all rankings by chunk id, each with all its legs, in the order of first appearance."""
    merged: dict[str, Hit] = {}
    for ranking in rankings:
        for hit in ranking:
            known = merged.get(hit.chunk_id)
            merged[hit.chunk_id] = hit if known is None else replace(known, legs={**known.legs, **hit.legs})
    return merged
