"""What an order of passages or documents is worth: MAP, MRR@10 and nDCG@10, by ir-measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ir_measures
from ir_measures import AP, RR, nDCG

from bothways.learning.reranker.data.groups import Group

MEASURES = {"map": AP @ 100, "mrr@10": RR @ 10, "ndcg@10": nDCG @ 10}

MEASURE = "ndcg@10"
"""The one that chooses: checkpoints, shares."""

JudgedSet = Mapping[str, Mapping[str, int]]
Ranked = Mapping[str, Mapping[str, float]]


def measured(judged: JudgedSet, ranked: Ranked) -> dict[str, float]:
    """Return the means over all judged queries; a query that nothing was found for counts 0."""
    qrels = {query: dict(documents) for query, documents in judged.items()}
    sums = dict.fromkeys(MEASURES, 0.0)
    names = {measure: name for name, measure in MEASURES.items()}
    run = {query: dict(ranked[query]) for query in qrels if ranked.get(query)}
    for metric in ir_measures.iter_calc(list(names), qrels, run) if run else ():
        sums[names[metric.measure]] += float(metric.value)
    return {name: round(total / max(1, len(qrels)), 4) for name, total in sums.items()}


def measured_groups(groups: Sequence[Group], scores: Sequence[Sequence[float]]) -> dict[str, float]:
    """Return the measures of groups in which the first passage answers, by a score for each passage.

    Where scores are equal the answer comes last, so that a model that tells nothing apart gets nothing.
    """
    judged = {group.key: {"0": 1} for group in groups}
    ranked = {
        group.key: {str(place): -float(rank) for rank, place in enumerate(_order(found))}
        for group, found in zip(groups, scores, strict=True)
    }
    return measured(judged, ranked)


def _order(scores: Sequence[float]) -> list[int]:
    return sorted(range(len(scores)), key=lambda place: (-scores[place], -place))
