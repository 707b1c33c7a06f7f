"""What goes over the wire: the contract's JSON, as pydantic models, and how results become it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.collection import Collection
from core.datatypes import Hit, SearchResult, Strategy

Scalar = str | int | float | bool
FilterValues = Scalar | Annotated[list[Scalar], Field(min_length=1, max_length=1000)]


class SearchRequest(BaseModel):
    """A search. Unknown fields are refused, so that a misspelt option is noticed."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(description="the question, in the user's words")
    collection: str = Field(description="where to search")
    top_k: int = Field(5, ge=1, le=100, description="hits to return")
    strategy: Strategy = Field("hybrid_rerank", description="how to search")
    filters: dict[str, FilterValues] = Field(
        default_factory=dict, max_length=50, description="metadata that hits must have: a value, or any of a list"
    )
    rewrite: Literal["none"] = Field("none", description="how to rewrite the question")
    min_score: float | None = Field(None, allow_inf_nan=False, description="drop hits that score less")
    explain: bool = Field(False, description="say for each hit where each leg placed it")
    highlight: bool = Field(False, description="mark the question's words in the sentences that hold them")


class LegExplain(BaseModel):
    """Where one leg placed a hit."""

    rank: int
    score: float
    matched: str | None = None


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
    explain: dict[str, LegExplain | float] | None = None


class SearchResponse(BaseModel):
    """The answer to a search."""

    query_id: str
    query: str
    rewritten: str | None
    strategy: Strategy
    collection: str
    index: str
    hits: list[HitOut]
    timings_ms: dict[str, float]
    degraded: list[str]


class CollectionOut(BaseModel):
    """One collection and what it was built with."""

    name: str
    index: str
    documents: int
    chunks: int
    embedding_model: str
    dimension: int
    analyzer: str
    metadata_fields: list[str]


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[dict[str, Any]] | None = None


def search_response(result: SearchResult, *, explain: bool) -> dict[str, Any]:
    """Put a result into the wire's shape, as plain data (validating our own output would only cost time)."""
    return {
        "query_id": result.query_id,
        "query": result.query.text,
        "rewritten": result.query.rewritten,
        "strategy": result.strategy,
        "collection": result.collection,
        "index": result.index,
        "hits": [_hit(hit, rank, explain) for rank, hit in enumerate(result.hits, start=1)],
        "timings_ms": dict(result.timings_ms),
        "degraded": list(result.degraded),
    }


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
    if explain:
        row["explain"] = _explain(hit)
    return row


def _explain(hit: Hit) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for leg, placed in hit.legs.items():
        told[leg] = {"rank": placed.rank, "score": placed.score}
        if placed.matched is not None:
            told[leg]["matched"] = placed.matched
    if hit.rrf is not None:
        told["rrf"] = hit.rrf
    if hit.cross_encoder is not None:
        told["cross_encoder"] = hit.cross_encoder
    return told


def collection_out(collection: Collection, documents: int, chunks: int) -> CollectionOut:
    """Put a collection into the wire's shape."""
    return CollectionOut(
        name=collection.name,
        index=collection.index,
        documents=documents,
        chunks=chunks,
        embedding_model=collection.embedding_model,
        dimension=collection.dimension,
        analyzer=collection.analyzer,
        metadata_fields=sorted(collection.metadata_fields),
    )
