"""What the first stage knows of a group, for a reranker that learns the rest.

A reranker's score is blended with the first stage's when it serves. One that learns from its own logits alone spends
its few layers on what the first stage tells anyway; where that stands beside its logits while it learns (additive
models fitted stage by stage: Friedman, Hastie and Tibshirani, Additive Logistic Regression, 2000), it learns the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bothways.core.results import Hit
from bothways.learning.rank_measures import measured_groups
from bothways.learning.reranker.data.groups import Group, Kind
from bothways.learning.reranker.data.hard_negatives import Legs, cosine

Score = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""Pairs of question and passage to logits."""


def first_stage(hits: Sequence[Hit], legs: Legs, shares: Mapping[str, float], *, kind: Kind) -> tuple[float, ...]:
    """Return what the search says of passages; of one that it did not bring, what it says of the last that it did.

    Of people's questions that is the share of the best hit's fused score (`shares`, by chunk), as it is blended when it
    serves. Pseudo-questions are in the index themselves, which would flatter their chunk: of those it is the cosine
    with the chunk's own text. Both are at most 1, and fall alike.
    """
    known = {hit.chunk_id: cosine(hit) for hit in legs.get("text_sem", ())} if kind == "questions" else shares
    last = min(known.values(), default=0.0)
    return tuple(known.get(hit.chunk_id, last) for hit in hits)


def measure(groups: Sequence[Group], score: Score, *, residual: float) -> dict[str, float]:
    """Return MAP, MRR@10 and nDCG@10 of groups by logits, with `residual` times the first stage's score beside."""
    logits = iter(score([(group.query, text) for group in groups for text in group.passages]))
    scores = [
        [float(next(logits)) + (residual * group.first[at] if residual else 0.0) for at in range(len(group.passages))]
        for group in groups
    ]
    return measured_groups(groups, scores)
