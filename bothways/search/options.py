"""How to search: which legs and stages a strategy has, and everything that a request or the settings may choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from bothways.core.datatypes import Fusion, Leg, Rewrite, Strategy
from bothways.search.query.filters import FilterValue

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How to search: the request's own wishes on top of the settings."""

    strategy: Strategy = "hybrid_rerank"
    top_k: int = 5
    filters: Mapping[str, FilterValue] = field(default_factory=dict)
    min_score: float | None = None
    explain: bool = False
    highlight: bool = False
    offset: int = 0
    facets: Sequence[str] = ()
    facet_size: int = 10
    context: int = 0
    leg_k: int = 30
    num_candidates: int = 200
    rank_constant: int = 60
    weight_bm25: float = 1.0
    weight_dense: float = 1.0
    weight_questions: float = 0.5
    weight_cjk: float = 1.0
    weight_pseudo_doc: float = 0.25
    fusion: Fusion = "convex"
    convex_weight: float = 0.2
    leg_cutoff: float = 0.0
    oversample: float = 2.0
    deduplicate: bool = True
    rewrite: Rewrite = "none"
    rewrite_deadline_ms: float = 300.0
    rerank_top_n: int = 30
    rerank_budget_ms: float = 1000.0
    rerank_alpha: float | None = None
    rerank_min_score: float | None = None
    max_query_chars: int = 10_000
    self_query: bool = True
    self_query_boost: float = 2.0
    search_timeout_ms: float = SEARCH_TIMEOUT_MS
    encode_timeout_ms: float = 2000.0

    @property
    def depth(self) -> int:
        """The hits that each leg is asked for."""
        return max(self.leg_k, self.top_k)

    @property
    def shows_once(self) -> bool:
        """Whether equal texts are shown once; the baseline stays what it was elsewhere."""
        return self.deduplicate and self.strategy != "dedup"

    @property
    def rewrite_of_dense(self) -> Rewrite:
        """How the question is rewritten: as asked for; always for a strategy that says so; never for BM25 alone."""
        if self.strategy == "bm25":
            return "none"
        return "query2doc" if self.rewrite == "none" and self.strategy in REWRITTEN else self.rewrite
