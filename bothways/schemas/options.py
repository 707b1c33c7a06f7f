"""How to search: every option is described once, here.

A new option is a field of one of these classes:

- `FixedOptions`: nobody sets it but tests, benchmarks and measurements; its reason stands beside it.
- `SearchDefaults`: the environment may set it (`BOTHWAYS_LEG_K`), since `Settings` inherits it.
- `RequestOptions`: a request may set it, since `SearchRequest` inherits it. `SearchKeywords` repeats its name and type
  for callers of the client, and bothways/cli/verbs/search.py has its flag: tests/schemas/test_options.py compares them.
- An option of both is a field of `SearchDefaults`, and one of `SearchRequest` that is None where nothing is given.

A search itself goes by `SearchOptions`, which has them all; `options` puts what a request gives on top of what is set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self, TypedDict

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bothways.schemas.bounds import MAX_CONTEXT, MAX_OFFSET
from bothways.schemas.names import Fusion, Rewrite, Strategy

REWRITTEN: frozenset[Strategy] = frozenset({"dense_q2d", "hybrid_q2d", "hybrid_q2d_rerank"})
"""Strategies that rewrite each question."""


class SearchDefaults(BaseModel):
    """Options that the environment may set for all searches; `Settings` inherits them."""

    leg_k: int = Field(30, ge=1, le=1000, description="hits that each leg returns")
    fusion: Fusion = Field(
        "convex", description="how BM25 and dense rankings are combined: `convex` (by scores) or `rrf` (by ranks)"
    )
    convex_weight: float = Field(
        0.2, ge=0, le=1, description="`convex`: share of the BM25 score; the dense score has the rest"
    )
    weight_questions: float = Field(
        0.5, ge=0, le=1, description="share of the questions in the dense ranking; the text has the rest"
    )
    leg_cutoff: float = Field(
        0.0, ge=0, le=1, description="a hit below this share of its leg's best score is dropped; 0: none is"
    )
    rerank_top_n: int = Field(30, ge=1, le=200, description="fused hits that the cross-encoder scores")
    rerank_budget_ms: float = Field(
        1000.0,
        ge=1,
        le=600_000,
        description="milliseconds for reranking; hits without a score by then keep their fused order",
    )
    rerank_alpha: float | None = Field(
        None,
        ge=0,
        le=1,
        description="share of the cross-encoder in a reranked score; the first stage has the rest. Unset: the share "
        "that was measured when the cross-encoder was trained, else 1",
    )
    rerank_min_score: float | None = Field(
        None, ge=0, le=1, description="reranked hits that score less are dropped (`bothways eval calibrate` finds it)"
    )
    rewrite_deadline_ms: float = Field(
        300.0, ge=0, le=60_000, description="milliseconds that a search waits for Query2Doc's pseudo-document"
    )


class FixedOptions(BaseModel):
    """Options that neither the environment nor a request sets, each with its reason; `Settings` inherits them, too.

    A constructor may change them, as tests, benchmarks and `bothways eval tune` do (bothways/core/fixed.py).
    """

    num_candidates: int = Field(200, ge=1, le=10000)
    """Candidates of the approximate kNN search, a shard (docs/decisions/elasticsearch-index.md)."""
    oversample: float = Field(2.0, ge=0, le=100)
    """Quantised vectors: so many times the hits are scored with full vectors
    (docs/decisions/elasticsearch-index.md)."""
    self_query: bool = True
    """Names and numbers in a question act on metadata, which measured better. A request may switch it off."""
    deduplicate: bool = True
    """Show the same text of several documents once, naming its copies: twice it helps nobody. A request may ask."""
    rank_constant: int = Field(60, ge=1)
    """`rrf`: the k of reciprocal rank fusion, as its authors have it."""
    weight_bm25: float = Field(1.0, ge=0)
    """`rrf`: weight of the BM25 ranking. `convex`, which measured better, has `convex_weight`."""
    weight_dense: float = Field(1.0, ge=0)
    """`rrf`: weight of the dense ranking; only the ratio of the two matters."""
    weight_cjk: float = Field(1.0, ge=0)
    """Weight of the character bigrams in BM25, the words having 1 (docs/decisions/bm25-analysis.md)."""
    self_query_boost: float = Field(2.0, ge=1, le=100)
    """What a chunk's BM25 score is multiplied by when the question names its metadata
    (docs/decisions/self-query-and-filters.md)."""
    search_timeout_ms: float = Field(5000.0, ge=10, le=600_000)
    """Milliseconds that Elasticsearch has for the legs of a search (docs/decisions/deadlines-and-overload.md)."""
    encode_timeout_ms: float = Field(2000.0, ge=10, le=600_000)
    """Milliseconds that the embedding model has for a question; then the words alone are searched for."""
    max_query_chars: int = Field(10_000, ge=1)
    """A longer query is refused; models read less of it (docs/decisions/deadlines-and-overload.md)."""
    weight_pseudo_doc: float = Field(0.25, ge=0, le=1)
    """Share of the pseudo-document in the question's vector (docs/decisions/query-rewriting.md)."""

    @field_validator("oversample")
    @classmethod
    def _none_or_more(cls, value: float) -> float:
        if 0 < value < 1:
            raise ValueError("wants 0 (none), or 1 and more")
        return value


class RequestOptions(BaseModel):
    """Options that each request chooses for itself; `SearchRequest` inherits them."""

    top_k: int = Field(5, ge=1, le=100, description="hits to return")
    strategy: Strategy = Field("hybrid_rerank", description="how to search")
    rewrite: Rewrite = Field(
        "none", description="pseudo-document for the dense legs: never, always, or where the first pass is weak"
    )
    min_score: float | None = Field(
        None, allow_inf_nan=False, description="drop hits that score less, on the strategy's scale"
    )
    explain: bool = Field(False, description="say for each hit where each leg placed it")
    highlight: bool = Field(
        False, description="mark the question's words and their synonyms in the sentences that hold them"
    )
    offset: int = Field(0, ge=0, le=MAX_OFFSET, description="candidates to pass over; go on with `next_offset`")
    facets: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default_factory=list, max_length=10, description="metadata fields by which to count the candidates"
    )
    facet_size: int = Field(10, ge=1, le=100, description="values that a facet names")
    context: int = Field(0, ge=0, le=MAX_CONTEXT, description="chunks to show before and after each hit")


class SearchOptions(FixedOptions, SearchDefaults, RequestOptions):
    """How one search is made: what the request gives, on top of what is set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    filters: Mapping[str, Any] = Field(default_factory=dict)

    def replace(self, **changes: Any) -> Self:  # noqa: ANN401 – values of the fields
        """Return the options with some changed, whose values are not checked; raises `TypeError` for a wrong name."""
        if unknown := changes.keys() - type(self).model_fields:
            raise TypeError(f"There is no search option {', '.join(sorted(unknown))}.")
        return self.model_copy(update=changes)

    @property
    def depth(self) -> int:
        """The hits that each leg is asked for."""
        return max(self.leg_k, self.top_k)

    @property
    def shows_once(self) -> bool:
        """Whether equal texts are shown once; the baseline `dedup` shows what it showed elsewhere."""
        return self.deduplicate and self.strategy != "dedup"

    @property
    def rewrite_of_dense(self) -> Rewrite:
        """How the question is rewritten: as asked for; always for a strategy that says so; never for BM25 alone."""
        if self.strategy == "bm25":
            return "none"
        return "query2doc" if self.rewrite == "none" and self.strategy in REWRITTEN else self.rewrite


class SearchKeywords(TypedDict, total=False):
    """The options of a request as keywords of the client; what is left out is as the server has it set."""

    top_k: int
    strategy: Strategy
    filters: dict[str, Any]
    self_query: bool
    rewrite: Rewrite
    fusion: Fusion
    deduplicate: bool
    min_score: float
    explain: bool
    highlight: bool
    offset: int
    rank_window_size: int
    facets: list[str]
    facet_size: int
    context: int


def options(defaults: SearchOptions, given: Mapping[str, Any]) -> SearchOptions:
    """Return the defaults with what is given on top; None means not given."""
    return defaults.replace(**{name: value for name, value in given.items() if value is not None})
