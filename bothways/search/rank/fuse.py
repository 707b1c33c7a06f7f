"""Rankings into one ranking. Pure: no client, no clock; Elasticsearch's own fusion needs a paid licence.

Which of these a search uses, with which weights, says bothways/search/rank/combine.py.
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

    Ranks start at 1; a ranking that lacks a hit adds nothing. Of equal scores, the hit that an earlier ranking
    brought comes first: give the one first that knows exact words. Cormack, Clarke, Buettcher: Reciprocal Rank
    Fusion outperforms Condorcet and individual Rank Learning Methods, SIGIR 2009.
    """
    scores = rrf_scores(rankings, weights=weights, rank_constant=rank_constant)
    merged = merge(rankings)
    fused = [replace(merged[chunk_id], score=score, rrf=score) for chunk_id, score in scores.items()]
    return sorted(fused, key=lambda hit: -hit.score)


def rrf_scores(
    rankings: Sequence[Sequence[Hit]], *, weights: Sequence[float] | None = None, rank_constant: int = 60
) -> dict[str, float]:
    """Return the score of `rrf` by chunk id, where it is above 0; in the order of first appearance."""
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
    """Fuse by scores: a hit's score is the weighted mean of its scores in the rankings, each brought to 0..1.

    A ranking's best score becomes 1 and `least`, the lowest that such scores can have, 0: the best is known of every
    ranking, but the lowest of thirty hits says nothing. A hit that a ranking lacks is given the ranking's lowest score,
    the most that it can have there; but 0 in a ranking of fewer than `depth` hits, which holds all that match. A
    ranking without hits, or of weight 0, has no say. Of equal scores, the hit that an earlier ranking brought comes
    first. Bruch, Gai, Ingber: An Analysis of Fusion Functions for Hybrid Retrieval, ACM TOIS 42(1), 2023: their TM2C2
    but for the lowest score and, of vectors, for `least`. `reciprocal` are the scores of `rrf`, which the hits tell.
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
    """Drop the hits that have less than `share` (0 to 1) of the first one's score, counted from `least` on."""
    if not ranking or share <= 0:
        return list(ranking)
    lowest = least + share * (ranking[0].score - least)
    return [hit for hit in ranking if hit.score >= lowest]


def dense_mean(text: Sequence[Hit], questions: Sequence[Hit], *, weight: float = 0.5) -> list[Hit]:
    """Merge the two dense legs into one ranking: the mean of the text's score and of its best question's.

    `weight` is the share of the questions in it, from 0 to 1.

    A hit that one leg did not bring is given that leg's lowest score: the most that it can have there. Without
    questions in the collection, the text's ranking is the answer. Measured better than either leg alone, than
    their maximum and than fusing three rankings (docs/decisions/fusion.md).
    """
    if not text or not questions:
        return list(text or questions)
    lowest = {"text_sem": text[-1].score, "questions": questions[-1].score}

    def score(legs: Mapping[Leg, LegScore]) -> float:
        text_score = legs["text_sem"].score if "text_sem" in legs else lowest["text_sem"]
        question_score = legs["questions"].score if "questions" in legs else lowest["questions"]
        return (1 - weight) * text_score + weight * question_score

    asked = {hit.chunk_id: hit for hit in questions}
    there = {hit.chunk_id: {**hit.legs, **(asked[hit.chunk_id].legs if hit.chunk_id in asked else {})} for hit in text}
    there |= {hit.chunk_id: dict(hit.legs) for hit in questions if hit.chunk_id not in there}
    known = asked | {hit.chunk_id: hit for hit in text}
    merged = [replace(known[chunk_id], legs=legs, score=score(legs)) for chunk_id, legs in there.items()]
    return sorted(merged, key=lambda hit: (-hit.score, hit.chunk_id))


def union(rankings: Sequence[Sequence[Hit]]) -> list[Hit]:
    """Put rankings one after another and drop repetitions: the old way, kept as a baseline. Score is 1 / rank."""
    return [replace(hit, score=1 / rank) for rank, hit in enumerate(merge(rankings).values(), start=1)]


def merge(rankings: Sequence[Sequence[Hit]]) -> dict[str, Hit]:
    """Bring together what the rankings know of each hit, in the order of first appearance."""
    merged: dict[str, Hit] = {}
    for ranking in rankings:
        for hit in ranking:
            known = merged.get(hit.chunk_id)
            merged[hit.chunk_id] = hit if known is None else replace(known, legs={**known.legs, **hit.legs})
    return merged
