"""The share that a reranker's scores get beside the first stage's, measured on people's questions kept aside.

A model that learnt what the first stage lacks ranks badly alone. Its best share is part of the model: it is written
into config.json as `rerank_alpha` and holds wherever the model is loaded, unless `BOTHWAYS_RERANK_ALPHA` is set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bothways.learning.rank_measures import MEASURE, measured_groups
from bothways.learning.reranker.data.groups import Group
from bothways.search.rank.rerank import blended

FEW = 30
"""With fewer groups of people's questions no share is measured, and the reranker's score counts alone."""
SHARES = tuple(round(0.05 * step, 2) for step in range(21))


@dataclass(frozen=True, slots=True)
class Blending:
    """The best share, and nDCG@10 of `groups` by each that was tried: 0 is the first stage, 1 the model alone."""

    alpha: float
    groups: int
    measures: dict[float, float]


def best_share(groups: Sequence[Group], logits: Sequence[Sequence[float]]) -> Blending | None:
    """Choose the share by nDCG@10 of people's questions, the smallest of equals; None for too few of them.

    `logits` are calibrated ones, by group and passage. Left out are questions whose answer the search did not bring, or
    last: it would not be there to be reranked.
    """
    judged = [
        (group, scores)
        for group, scores in zip(groups, logits, strict=True)
        if group.kind != "questions" and group.first and group.first[0] > min(group.first)
    ]
    if len(judged) < FEW:
        return None
    people = [group for group, _ in judged]
    found = {}
    for share in SHARES:
        mixed = [
            [blended(logit, first, alpha=share) for logit, first in zip(scores, group.first, strict=True)]
            for group, scores in judged
        ]
        found[share] = measured_groups(people, mixed)[MEASURE]
    return Blending(max(SHARES, key=lambda share: (found[share], -share)), len(people), found)
