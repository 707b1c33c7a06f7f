"""`POST /api/v1/ask` and `POST /ask`: a question, and its answer with citations, whole or as events."""

from __future__ import annotations

from typing import Any, TypedDict

from pydantic import ConfigDict, Field

from bothways.schemas import examples
from bothways.schemas.base import Request, Response, only_if_set
from bothways.schemas.bounds import MAX_MESSAGES
from bothways.schemas.names import AnswerStatus, Role
from bothways.schemas.search import Facet, LegExplain, SearchRequest, SelfQuery


class Message(Request):
    """One message of the conversation so far."""

    role: Role
    content: str = Field(max_length=50_000)


class MessageDict(TypedDict):
    """The same as the client takes it."""

    role: Role
    content: str


class AskRequest(SearchRequest):
    """A question to answer; all options of a search may stand beside it."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.QUESTIONS})

    history: list[Message] = Field(
        default_factory=list, max_length=MAX_MESSAGES, description="what was said before, the oldest first"
    )
    stream: bool = Field(False, description="answer as server-sent events: `delta`…, then one `done` with the whole")


class PlainAskRequest(AskRequest):
    """The same, for which the question alone is enough."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.PLAIN_QUESTIONS})

    collection: str | None = Field(None, description="where to search; null: as set, or the only one")  # type: ignore[assignment]


class Citation(Response):
    """A passage that the answer names as `[n]`."""

    n: int
    chunk_id: str
    doc_id: str
    title: str
    source: str
    metadata: dict[str, Any]


class Passage(Response):
    """A passage that the language model read; `n` is its number in citations."""

    n: int
    chunk_id: str
    chunk_ids: list[str] = Field(default_factory=list)
    doc_id: str
    title: str
    text: str
    source: str
    metadata: dict[str, Any]
    rank: int = Field(description="of its best hit in the search")
    score: float
    highlights: list[str] = Field(default_factory=list)
    explain: dict[str, float | LegExplain] | None = only_if_set()


class _Answered(Response):
    query: str
    standalone: str | None = Field(None, description="what a follow-up was made of; null where it stood alone")
    pseudo_doc: str | None = None
    answer: str | None = Field(description="null where there is no language model, or it gave nothing")
    status: AnswerStatus
    note: str | None = Field(None, description="what is to be said of the status, for people")
    citations: list[Citation]
    removed_citations: int = Field(
        0, description="citations of the model that named no passage; they are not in `answer`"
    )
    strategy: str
    collection: str
    index: str = ""
    degraded: list[str]
    timings_ms: dict[str, float]
    facets: dict[str, Facet] = Field(default_factory=dict)
    self_query: SelfQuery | None = None


class Answer(_Answered):
    """An answer with the passages that it was written from."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ANSWER]})

    contexts: list[Passage]


class PlainAnswer(_Answered):
    """The same with the passages' texts alone; `[n]` is the n-th of them."""

    contexts: list[str]


class Delta(Response):
    """A piece of an answer that is being written."""

    text: str
