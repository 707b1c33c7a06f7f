"""The last word on order: a cross-encoder reads question and passage together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from core.datatypes import Hit
from core.models.protocols import CrossEncoder


def rerank(query: str, hits: Sequence[Hit], cross_encoder: CrossEncoder, *, top_n: int) -> list[Hit]:
    """Order the first `top_n` hits by the cross-encoder; later hits are dropped, since their scores do not compare.

    `cross_encoder` of a hit is the raw logit, `score` its sigmoid in 0..1. Ties keep the order they came in.
    """
    candidates = list(hits[:top_n])
    if not candidates:
        return []
    passages = [f"{hit.title}\n{hit.text}" if hit.title else hit.text for hit in candidates]
    logits = cross_encoder.score(query, passages)
    scored = [
        replace(hit, score=sigmoid(logit), cross_encoder=logit) for hit, logit in zip(candidates, logits, strict=True)
    ]
    return sorted(scored, key=lambda hit: -(hit.cross_encoder or 0.0))


def sigmoid(logit: float) -> float:
    """Map a logit to 0..1 without overflow."""
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
