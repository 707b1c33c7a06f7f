"""The wire's shapes of an answer: what is asked, and what is answered, whole or as events."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bothways.api.options import search_options
from bothways.api.wire.examples_ask import ASK_ANSWER_EXAMPLE, ASK_EXAMPLES, PLAIN_ASK_EXAMPLES
from bothways.api.wire.search import LegExplain, SearchRequest, SelfQueryOut, search_response
from bothways.api.wire.shown import FacetOut
from bothways.core.settings import Settings
from bothways.search.answering.types import Answer, Ask, Passage, Role, Status, Turn

MOST_TURNS = 200
"""Messages of a history that a request may hold; how many are read is set (BOTHWAYS_ASK_HISTORY_TURNS)."""


class Message(BaseModel):
    """One message of the conversation so far."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    content: str = Field(max_length=50_000)


class AskRequest(SearchRequest):
    """A question to answer; all options of a search may stand beside it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": ASK_EXAMPLES})

    history: list[Message] = Field(
        default_factory=list, max_length=MOST_TURNS, description="what was said before, the oldest first"
    )
    stream: bool = Field(False, description="answer as server-sent events: `delta`…, then one `done` with the whole")


class PlainAskRequest(AskRequest):
    """The same, for which the question alone is enough."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": PLAIN_ASK_EXAMPLES})

    collection: str | None = Field(None, description="where to search; null: as set, or the only one")  # type: ignore[assignment]


class PassageOut(BaseModel):
    """A passage that the language model read; `n` is its number in citations."""

    n: int
    chunk_id: str
    chunk_ids: list[str]
    doc_id: str
    title: str
    text: str
    source: str
    metadata: dict[str, Any]
    rank: int = Field(description="of its best hit in the search")
    score: float
    highlights: list[str]
    explain: dict[str, LegExplain | float] | None = None


class CitationOut(BaseModel):
    """A passage that the answer names as `[n]`."""

    n: int
    chunk_id: str
    doc_id: str
    title: str
    source: str
    metadata: dict[str, Any]


class _AnswerOut(BaseModel):
    query: str
    standalone: str | None = Field(description="what a follow-up was made of; null where it stood alone")
    pseudo_doc: str | None
    answer: str | None = Field(description="null where there is no language model, or it gave nothing")
    status: Status
    note: str | None = Field(description="what is to be said of the status, for people")
    citations: list[CitationOut]
    removed_citations: int = Field(description="citations of the model that named no passage; they are not in `answer`")
    strategy: str
    collection: str
    index: str
    degraded: list[str]
    timings_ms: dict[str, float]
    facets: dict[str, FacetOut]
    self_query: SelfQueryOut | None


class AskResponse(_AnswerOut):
    """An answer with the passages that it was written from."""

    model_config = ConfigDict(json_schema_extra={"examples": [ASK_ANSWER_EXAMPLE]})

    contexts: list[PassageOut]


class PlainAskResponse(_AnswerOut):
    """The same with the passages' texts alone; `[n]` is the n-th of them."""

    contexts: list[str]


def to_ask(request: AskRequest, collection: str, settings: Settings) -> Ask:
    """Read a request."""
    history = [Turn(message.role, message.content) for message in request.history]
    return Ask(query=request.query, collection=collection, options=search_options(request, settings), history=history)


def ask_response(answer: Answer, *, explain: bool = False, plain: bool = False) -> dict[str, Any]:
    """Put an answer into the wire's shape, as plain data; `plain`: its contexts as texts alone."""
    found = search_response(answer.result, explain=explain)
    contexts = [
        passage.text if plain else _passage(passage, found["hits"][passage.rank - 1]) for passage in answer.passages
    ]
    return {
        "query": answer.query,
        "standalone": answer.standalone,
        "pseudo_doc": answer.result.query.rewritten,
        "contexts": contexts,
        "answer": answer.text,
        "status": answer.status,
        "note": answer.note,
        "citations": [{**asdict(citation), "metadata": dict(citation.metadata)} for citation in answer.citations],
        "removed_citations": answer.removed,
        "strategy": answer.result.strategy,
        "collection": answer.result.collection,
        "index": answer.result.index,
        "degraded": list(answer.degraded),
        "timings_ms": {**answer.result.timings_ms, **answer.timings_ms},
        "facets": found["facets"],
        "self_query": found["self_query"],
    }


def _passage(passage: Passage, hit: dict[str, Any]) -> dict[str, Any]:
    row = {
        "n": passage.n,
        "chunk_id": passage.chunk_id,
        "chunk_ids": list(passage.chunk_ids),
        "doc_id": hit["doc_id"],
        "title": hit["title"],
        "text": passage.text,
        "source": hit["source"],
        "metadata": hit["metadata"],
        "rank": hit["rank"],
        "score": hit["score"],
        "highlights": hit["highlights"],
    }
    return row | ({"explain": hit["explain"]} if "explain" in hit else {})
