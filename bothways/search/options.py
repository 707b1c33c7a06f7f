"""Which legs and stages a strategy has; the options themselves are in bothways/schemas/options.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from bothways.core.datatypes import Leg
from bothways.schemas.names import Strategy
from bothways.schemas.options import REWRITTEN as REWRITTEN
from bothways.schemas.options import SearchOptions as SearchOptions
from bothways.schemas.options import options as options

LEGS: Mapping[Strategy, tuple[Leg, ...]] = {
    "bm25": ("bm25",),
    "dense": ("text_sem",),
    "questions": ("questions",),
    "hybrid": ("bm25", "text_sem", "questions"),
    "hybrid_rerank": ("bm25", "text_sem", "questions"),
    "dense_q2d": ("text_sem",),
    "hybrid_q2d": ("bm25", "text_sem", "questions"),
    "hybrid_q2d_rerank": ("bm25", "text_sem", "questions"),
    "dedup": ("bm25", "text_sem", "questions"),
}
RERANKED: frozenset[Strategy] = frozenset({"hybrid_rerank", "hybrid_q2d_rerank"})
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
SEARCH_TIMEOUT_MS: float = SearchOptions.model_fields["search_timeout_ms"].default
"""Milliseconds that Elasticsearch has for the legs of a search where nobody says otherwise."""
