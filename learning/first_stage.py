"""What the first stage knows of a group, for a reranker that learns the rest.

A reranker's score is blended with the first stage's when it serves. One that learns from its own logits alone spends
its few layers on what the cosine tells anyway; where the cosine stands beside its logits while it learns (additive
models fitted stage by stage: Friedman, Hastie and Tibshirani, Additive Logistic Regression, 2000), it learns the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.models.protocols import Encoder
from learning.rank_measures import measured_groups
from learning.reranker_data import Group

_TEXTS = 256

Score = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""Pairs of question and passage to logits."""


def with_cosines(groups: Sequence[Group], encoder: Encoder) -> list[Group]:
    """Give the groups with the cosine of the question and each passage, as the collection's encoder has it."""
    questions = _vectors([group.query for group in groups], encoder.encode_queries)
    passages = _vectors([text for group in groups for text in group.passages], encoder.encode_documents)
    return [
        replace(group, first=tuple(float(questions[group.query] @ passages[text]) for text in group.passages))
        for group in groups
    ]


def _vectors(texts: Sequence[str], encode: Callable[[Sequence[str]], Any]) -> dict[str, Any]:
    different = sorted(set(texts))
    parts = [encode(different[start : start + _TEXTS]) for start in range(0, len(different), _TEXTS)]
    return dict(zip(different, np.concatenate(parts), strict=True))


def measure(groups: Sequence[Group], score: Score, *, residual: float) -> dict[str, float]:
    """Give MAP, MRR@10 and nDCG@10 of groups by logits, with `residual` times the cosine beside them."""
    logits = iter(score([(group.query, text) for group in groups for text in group.passages]))
    scores = [
        [float(next(logits)) + (residual * group.first[at] if residual else 0.0) for at in range(len(group.passages))]
        for group in groups
    ]
    return measured_groups(groups, scores)
