"""How to search: which legs and stages a strategy has, and everything that a request or the settings may choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from core.datatypes import Leg, Strategy
from search.bodies import FilterValue

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
REWRITTEN: frozenset[Strategy] = frozenset({"dense_q2d", "hybrid_q2d", "hybrid_q2d_rerank"})
RERANKED: frozenset[Strategy] = frozenset({"hybrid_rerank", "hybrid_q2d_rerank"})
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
SEARCH_TIMEOUT_MS = 5000.0
"""What Elasticsearch has for the legs of a search where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search: the request's own wishes on top of the settings."""

    strategy: Strategy = "hybrid_rerank"
    top_k: int = 5
    filters: Mapping[str, FilterValue] = field(default_factory=dict)
    min_score: float | None = None
    explain: bool = False
    highlight: bool = False
    leg_k: int = 30
    num_candidates: int = 100
    rank_constant: int = 60
    weight_bm25: float = 1.0
    weight_dense: float = 1.0
    weight_questions: float = 0.5
    weight_pseudo_doc: float = 0.25
    rewrite_deadline_ms: float = 300.0
    rerank_top_n: int = 30
    max_query_chars: int = 10_000
    search_timeout_ms: float = SEARCH_TIMEOUT_MS
    encode_timeout_ms: float = 2000.0
