"""The wire's shapes of a search: what is asked, and what is answered."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bothways.api.http.bounds import NAME, NOT_EMPTY
from bothways.api.wire.conditions import Condition
from bothways.api.wire.examples import ANSWER_EXAMPLE, SEARCH_EXAMPLES
from bothways.api.wire.shown import ContextOut, FacetOut, context_out, facet_out
from bothways.core.datatypes import Fusion, Rewrite, Strategy
from bothways.core.results import Hit, SearchResult, SelfQuery
from bothways.search.present.context import MOST as MOST_CONTEXT
from bothways.search.retrieve.paging import MOST_OFFSET, MOST_WINDOW


class SearchRequest(BaseModel):
    """A search. Unknown fields are refused, so that a misspelt option is noticed."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": SEARCH_EXAMPLES})

    query: str = Field(description="the question, in the user's words", json_schema_extra=NOT_EMPTY)
    collection: str = Field(description="where to search", json_schema_extra=NAME)
    top_k: int = Field(5, ge=1, le=100, description="hits to return")
    strategy: Strategy = Field("hybrid_rerank", description="how to search")
    filters: dict[str, Condition] = Field(
        default_factory=dict,
        max_length=50,
        description="what hits' metadata must be: a value, any of a list, or an object of operators",
    )
    self_query: bool | None = Field(None, description="read names and numbers out of the question; null: as set")
    rewrite: Rewrite = Field(
        "none", description="pseudo-document for the dense legs: never, always, or where the first pass is weak"
    )
    fusion: Fusion | None = Field(None, description="how BM25 and dense become one; null: as the settings say")
    deduplicate: bool | None = Field(None, description="show equal texts once; null: as the settings say")
    min_score: float | None = Field(
        None, allow_inf_nan=False, description="drop hits that score less, on the strategy's scale"
    )
    explain: bool = Field(False, description="say for each hit where each leg placed it")
    highlight: bool = Field(
        False, description="mark the question's words and their synonyms in the sentences that hold them"
    )
    offset: int = Field(0, ge=0, le=MOST_OFFSET, description="candidates to pass over; go on with `next_offset`")
    rank_window_size: int | None = Field(
        None, ge=1, le=MOST_WINDOW, description="hits that each leg brings; unset: BOTHWAYS_LEG_K"
    )
    facets: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default_factory=list, max_length=10, description="metadata fields by which to count the candidates"
    )
    facet_size: int = Field(10, ge=1, le=100, description="values that a facet names")
    context: int = Field(0, ge=0, le=MOST_CONTEXT, description="chunks to show before and after each hit")

    @property
    def plain_filters(self) -> dict[str, Any]:
        """The filters as plain data, with no operator that was not given."""
        dumped: dict[str, Any] = self.model_dump(include={"filters"}, by_alias=True, exclude_unset=True)
        return dumped.get("filters", {})  # type: ignore[no-any-return]


class LegExplain(BaseModel):
    """Where one leg placed a hit, and what it found: the nearest question, or what BM25 matched."""

    rank: int
    score: float = Field(
        description="as Elasticsearch gave it; BM25's is one of the rank alone for keys that see a part of a collection"
    )
    matched: str | None = None
    words: list[str] | None = Field(None, description="the question's words that BM25 found")
    synonyms: dict[str, str] | None = Field(
        None, description="what stands there instead: of which word of the question"
    )
    in_questions: list[str] | None = Field(None, description="those of them that only its pseudo-questions have")
    bigrams: list[str] | None = Field(None, description="runs of characters in common besides")


class CopyOut(BaseModel):
    """A chunk with the text of a hit, which is not shown beside it."""

    chunk_id: str
    doc_id: str
    title: str
    source: str


class HitOut(BaseModel):
    """One hit."""

    rank: int
    score: float
    chunk_id: str
    doc_id: str
    title: str
    text: str
    source: str
    metadata: dict[str, Any]
    highlights: list[str]
    duplicates: list[CopyOut] | None = None
    explain: dict[str, LegExplain | float] | None = None
    context: ContextOut | None = None


class RecognisedOut(BaseModel):
    """Words of the question, and the metadata values that they mean, by field (none: no chunk has such)."""

    text: str
    values: dict[str, list[str]]


class SelfQueryOut(BaseModel):
    """What the question's own words did: `filter` (only what it cites), `first` (that first), `boost` (that higher).

    `relaxed`: nothing matched what it cites, so all was searched.
    """

    mode: Literal["filter", "first", "boost"]
    recognised: list[RecognisedOut]
    relaxed: bool


class RerankingOut(BaseModel):
    """What the reranker did: of its candidates, how many have a score, and how many of these from memory."""

    candidates: int
    scored: int
    cached: int | None = Field(None, description="null for keys with access groups: it would tell what others asked")


class ExpansionOut(BaseModel):
    """Why `rewrite: auto` asked the language model (score above 0), or did not: the rule and the signs it went by."""

    wanted: bool
    rule: str
    score: float | None
    signs: dict[str, float]


class SearchResponse(BaseModel):
    """The answer to a search: one page of `total` candidates; `next_offset` is null at the end."""

    model_config = ConfigDict(json_schema_extra={"examples": [ANSWER_EXAMPLE]})

    query_id: str
    query: str
    rewritten: str | None
    strategy: Strategy
    collection: str
    index: str
    hits: list[HitOut]
    timings_ms: dict[str, float]
    degraded: list[str]
    offset: int
    total: int
    next_offset: int | None
    facets: dict[str, FacetOut]
    self_query: SelfQueryOut | None = None
    reranking: RerankingOut | None = None
    expansion: ExpansionOut | None = None


def search_response(result: SearchResult, *, explain: bool) -> dict[str, Any]:
    """Put a result into the wire's shape, as plain data (validating our own output would only cost time)."""
    told = {"reranking": result.reranking, "expansion": result.expansion} if explain else {}
    explained = {name: asdict(stage) for name, stage in told.items() if stage}
    return {
        "query_id": result.query_id,
        "query": result.query.text,
        "rewritten": result.query.rewritten,
        "strategy": result.strategy,
        "collection": result.collection,
        "index": result.index,
        "hits": [_hit(hit, rank, explain) for rank, hit in enumerate(result.hits, result.offset + 1)],
        "timings_ms": dict(result.timings_ms),
        "degraded": list(result.degraded),
        "offset": result.offset,
        "total": result.total,
        "next_offset": result.next_offset,
        "facets": {field: facet_out(facet) for field, facet in result.facets.items()},
        "self_query": _self_query(result.self_query),
        **explained,
    }


def _self_query(told: SelfQuery | None) -> dict[str, Any] | None:
    if told is None:
        return None
    recognised = [
        {"text": each.text, "values": {k: list(v) for k, v in each.values.items()}} for each in told.recognised
    ]
    return {"mode": told.mode, "recognised": recognised, "relaxed": told.relaxed}


def _hit(hit: Hit, rank: int, explain: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "rank": rank,
        "score": hit.score,
        "chunk_id": hit.chunk_id,
        "doc_id": hit.doc_id,
        "title": hit.title,
        "text": hit.text,
        "source": hit.source,
        "metadata": dict(hit.metadata),
        "highlights": list(hit.highlights),
    }
    if hit.duplicates:
        row["duplicates"] = [asdict(copy) for copy in hit.duplicates]
    if explain:
        row["explain"] = _explain(hit)
    if hit.context is not None:
        row["context"] = context_out(hit.context)
    return row


def _explain(hit: Hit) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for leg, placed in hit.legs.items():
        told[leg] = {"rank": placed.rank, "score": placed.score}
        if placed.matched is not None:
            told[leg]["matched"] = placed.matched
        if placed.words is not None:
            told[leg] |= asdict(placed.words)
    if hit.rrf is not None:
        told["rrf"] = hit.rrf
    if hit.convex is not None:
        told["convex"] = hit.convex
    if hit.cross_encoder is not None:
        told["cross_encoder"] = hit.cross_encoder
    return told
