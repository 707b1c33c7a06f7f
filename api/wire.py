"""What goes over the wire: the contract's JSON, as pydantic models, and how results become it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.conditions import Condition
from api.examples import ANSWER_EXAMPLE, SEARCH_EXAMPLES
from api.shown import ContextOut, FacetOut, context_out, facet_out
from core.collection import Collection
from core.datatypes import Fusion, Hit, Rewrite, SearchResult, SelfQuery, Strategy
from core.valid_text import valid_text
from indexer.documents import StoredDocument
from indexer.jobs import Job, State
from indexer.rollback import Version
from learning.feedback.rows import Action
from search.context import MOST as MOST_CONTEXT
from search.filters import Scalar
from search.paging import MOST_OFFSET, MOST_WINDOW

FilterValues = Scalar | Annotated[list[Scalar], Field(min_length=1, max_length=1000)]
_PLAIN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,80}")


class SearchRequest(BaseModel):
    """A search. Unknown fields are refused, so that a misspelt option is noticed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": SEARCH_EXAMPLES})

    query: str = Field(description="the question, in the user's words")
    collection: str = Field(description="where to search")
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
    score: float
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
    cached: int


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


class FeedbackRequest(BaseModel):
    """What a user did with a hit of a search."""

    model_config = ConfigDict(extra="forbid")

    query_id: str = Field(pattern=r"^[0-9a-f]{32}$", description="the `query_id` of the search's answer")
    chunk_id: str = Field(min_length=1, max_length=600, description="the `chunk_id` of the hit")
    action: Action = Field(description="opened it, passed it over, voted for it, voted against it")


class VersionOut(BaseModel):
    """One version of a collection. `kept` and `rolled back` ones can be gone back to."""

    index: str
    number: int
    state: Literal["live", "kept", "rolled back", "failed its check", "unfinished"]
    chunks: int
    embedding_model: str
    dimension: int
    chunker: str | None
    max_chars: int | None
    created_at: str


class CollectionOut(BaseModel):
    """One collection and what it was built with; `chunker` and `max_chars` are null where that was not noted.

    `acl_field`: the metadata field of the access groups, if any.
    """

    name: str
    index: str
    documents: int
    chunks: int
    embedding_model: str
    dimension: int
    analyzer: str
    chunker: str | None
    max_chars: int | None
    metadata_fields: list[str]
    acl_field: str | None
    versions: list[VersionOut]


class AclIn(BaseModel):
    """Which metadata field holds the access groups of a collection's documents; null: everybody may see them."""

    model_config = ConfigDict(extra="forbid")

    field: str | None = Field(max_length=200)


class RollbackOut(BaseModel):
    """Which version searches went to, which they go to now, and what has to be set for it, if anything."""

    collection: str
    left: str
    index: str
    embedding_model: str
    advice: str | None


class DocumentIn(BaseModel):
    """A document that is uploaded as JSON; one of the same id is replaced."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1, max_length=480, pattern=r"\S", description="what it is known and replaced by")
    title: str = Field("", description="its title, indexed in front of each chunk")
    text: str = Field(min_length=1, pattern=r"\S", description="its text")
    metadata: dict[str, FilterValues] = Field(default_factory=dict, max_length=100, description="to filter by")

    @property
    def file_name(self) -> str:
        """The name of the file that it is kept in, which is its source: the id, where that can be one."""
        if _PLAIN_ID.fullmatch(self.id):
            return f"{self.id}.json"
        digest = hashlib.sha1(valid_text(self.id).encode(), usedforsecurity=False).hexdigest()
        return f"{re.sub('[^A-Za-z0-9_-]+', '-', self.id)[:60].strip('-')}-{digest[:16]}.json".lstrip("-")

    def record(self) -> str:
        """Give it as the JSON that the reader of records takes."""
        fields = {"_id": self.id, "title": self.title, "text": self.text, "metadata": self.metadata}
        return json.dumps(fields)


class DocumentsIn(BaseModel):
    """Documents that are uploaded as JSON."""

    model_config = ConfigDict(extra="forbid")

    documents: list[DocumentIn] = Field(min_length=1, max_length=1000)


class DocumentRow(BaseModel):
    """A document in a list."""

    doc_id: str
    title: str
    source: str
    chunks: int


class ChunkOut(BaseModel):
    """A chunk of a document, without vectors. `generation` names what wrote its questions."""

    chunk_id: str
    position: int
    heading: str
    text: str
    questions: list[str]
    generation: str


class DocumentOut(BaseModel):
    """A document with its chunks in order."""

    doc_id: str
    title: str
    source: str
    metadata: dict[str, Any]
    chunks: list[ChunkOut]


class JobFailure(BaseModel):
    """One thing that did not work in a job."""

    item: str
    stage: str
    reason: str
    title: str = ""


class JobOut(BaseModel):
    """An indexing job. `failures` and `skipped` have the first ones, `counts` all. Times are ISO 8601 in UTC."""

    id: str
    collection: str
    kind: Literal["path", "upload"]
    state: State
    who: str
    source: str
    files: list[str]
    options: dict[str, Any]
    index: str
    counts: dict[str, int | float]
    failures: list[JobFailure]
    skipped: list[tuple[str, str]]
    error: str
    cancel_requested: bool
    retry_of: str | None
    created: str
    started: str | None
    heartbeat: str | None
    finished: str | None
    seconds: float


class JobList(BaseModel):
    """Jobs, newest first; `total` counts all that fit."""

    total: int
    jobs: list[JobOut]


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
    explained = {"reranking": asdict(result.reranking)} if explain and result.reranking else {}
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


def collection_out(
    collection: Collection, documents: int, chunks: int, versions: Sequence[Version] = ()
) -> CollectionOut:
    """Put a collection into the wire's shape."""
    return CollectionOut(
        name=collection.name,
        index=collection.index,
        documents=documents,
        chunks=chunks,
        embedding_model=collection.embedding_model,
        dimension=collection.dimension,
        analyzer=collection.analyzer,
        chunker=collection.chunker,
        max_chars=collection.max_chars,
        metadata_fields=sorted(collection.metadata_fields),
        acl_field=collection.acl_field or None,
        versions=[_version(version) for version in versions],
    )


def _version(version: Version) -> VersionOut:
    return VersionOut(
        index=version.collection.index,
        number=version.number,
        state=version.state,
        chunks=version.chunks,
        embedding_model=version.collection.embedding_model,
        dimension=version.collection.dimension,
        chunker=version.collection.chunker,
        max_chars=version.collection.max_chars,
        created_at=version.created_at,
    )


def rollback_out(left: Version, live: Version, advice: str) -> RollbackOut:
    """Put a rollback into the wire's shape."""
    return RollbackOut(
        collection=live.collection.name,
        left=left.collection.index,
        index=live.collection.index,
        embedding_model=live.collection.embedding_model,
        advice=advice or None,
    )


def document_row(document: StoredDocument) -> DocumentRow:
    """Put a document of a list into the wire's shape."""
    return DocumentRow(
        doc_id=document.doc_id, title=document.title, source=document.source, chunks=document.chunk_count
    )


def document_out(document: StoredDocument) -> DocumentOut:
    """Put a document and its chunks into the wire's shape."""
    return DocumentOut(
        doc_id=document.doc_id,
        title=document.title,
        source=document.source,
        metadata=dict(document.metadata),
        chunks=[
            ChunkOut(
                chunk_id=chunk.chunk_id,
                position=chunk.position,
                heading=chunk.heading,
                text=chunk.text,
                questions=list(chunk.questions),
                generation=chunk.generation,
            )
            for chunk in document.chunks
        ],
    )


def job_out(job: Job) -> JobOut:
    """Put a job's record into the wire's shape."""
    fields = {name: getattr(job, name) for name in JobOut.model_fields if name != "who"}
    return JobOut.model_validate(fields | {"who": job.holder.who})
