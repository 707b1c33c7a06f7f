"""What a Bothways server answers, as frozen dataclasses: the JSON of `/docs`, field by field.

`read` makes one of JSON. Fields that this version does not know are passed over, so that a newer server can be asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, NotRequired, Required, TypedDict, TypeVar, Union, get_args, get_origin, get_type_hints

from bothways.client.errors import ResponseError

T = TypeVar("T")

Strategy = Literal[
    "bm25", "dense", "questions", "hybrid", "hybrid_rerank", "dense_q2d", "hybrid_q2d", "hybrid_q2d_rerank", "dedup"
]
Action = Literal["click", "skip", "up", "down"]
JobState = Literal["queued", "running", "done", "failed", "cancelled", "lost"]
Status = Literal["answered", "uncited", "unknown", "cut", "failed", "no_model"]

ENDED: frozenset[JobState] = frozenset({"done", "failed", "cancelled", "lost"})
"""States of a job to which nothing happens any more."""


class SearchOptions(TypedDict, total=False):
    """What may stand beside a question; what is left out is as the server has it set."""

    top_k: int
    strategy: Strategy
    filters: Mapping[str, Any]
    self_query: bool
    rewrite: Literal["none", "query2doc", "auto"]
    fusion: Literal["convex", "rrf"]
    deduplicate: bool
    min_score: float
    explain: bool
    highlight: bool
    offset: int
    rank_window_size: int
    facets: list[str]
    facet_size: int
    context: int


class Message(TypedDict):
    """One message of a conversation."""

    role: Literal["user", "assistant"]
    content: str


class NewDocument(TypedDict):
    """A document to upload; one of the same id is replaced."""

    id: Required[str]
    text: Required[str]
    title: NotRequired[str]
    metadata: NotRequired[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One hit; `rank` is from 1. `explain` says where each leg placed it, `context` what stands beside it."""

    rank: int
    score: float
    chunk_id: str
    doc_id: str
    title: str
    text: str
    source: str
    metadata: dict[str, Any]
    highlights: list[str] = field(default_factory=list)
    duplicates: list[dict[str, Any]] | None = None
    explain: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The hits of a search, the best first; `degraded` names the stages that were left out."""

    query_id: str
    query: str
    strategy: str
    collection: str
    index: str
    hits: list[Hit]
    timings_ms: dict[str, float]
    degraded: list[str]
    rewritten: str | None = None
    offset: int = 0
    total: int = 0
    next_offset: int | None = None
    facets: dict[str, Any] = field(default_factory=dict)
    self_query: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A passage that the language model read; `n` is its number in citations."""

    n: int
    chunk_id: str
    doc_id: str
    title: str
    text: str
    source: str
    metadata: dict[str, Any]
    rank: int
    score: float
    chunk_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A passage that an answer names as `[n]`."""

    n: int
    chunk_id: str
    doc_id: str
    title: str
    source: str
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer with the passages that it was written from; `answer` is None where there is no language model."""

    query: str
    answer: str | None
    status: Status
    contexts: list[Passage]
    citations: list[Citation]
    collection: str
    strategy: str
    degraded: list[str]
    timings_ms: dict[str, float]
    note: str | None = None
    standalone: str | None = None
    pseudo_doc: str | None = None
    removed_citations: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer that is being written."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """One collection and what it was built with.

    `problem` says what is wrong with its alias and what to do; `index` is "" where it cannot be searched.
    """

    name: str
    index: str
    documents: int
    chunks: int
    embedding_model: str
    dimension: int
    analyzer: str
    metadata_fields: list[str]
    chunker: str | None = None
    max_chars: int | None = None
    acl_field: str | None = None
    versions: list[dict[str, Any]] = field(default_factory=list)
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRow:
    """A document in a list."""

    doc_id: str
    title: str
    source: str
    chunks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A chunk of a document, with its pseudo-questions."""

    chunk_id: str
    position: int
    text: str
    questions: list[str]
    heading: str = ""
    generation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document with its chunks in order."""

    doc_id: str
    title: str
    source: str
    metadata: dict[str, Any]
    chunks: list[Chunk]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An indexing job. `failures` and `skipped` have the first ones, `counts` all. Times are ISO 8601 in UTC."""

    id: str
    collection: str
    state: JobState
    kind: str
    counts: dict[str, float]
    failures: list[dict[str, Any]]
    error: str
    created: str
    skipped: list[list[str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    index: str = ""
    started: str | None = None
    finished: str | None = None
    seconds: float = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether nothing happens to it any more."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A server that can answer a search."""

    status: str
    elasticsearch: str
    licence: str
    embedding_model: str


def read(kind: type[T], data: Any) -> T:  # noqa: ANN401 – it came over the wire
    """Make a `kind` of parsed JSON; raises `ResponseError` where it does not fit."""
    try:
        made: T = _read(kind, data)
        return made
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ResponseError(
            f"The server's answer is no {kind.__name__} ({error}): is it a Bothways server of a like version?"
        ) from error


def _read(kind: Any, data: Any) -> Any:  # noqa: ANN401
    if is_dataclass(kind):
        hints = _hints(kind)  # type: ignore[arg-type]
        needed = [f for f in fields(kind) if f.name in data or (f.default is MISSING and f.default_factory is MISSING)]
        return kind(**{f.name: _read(hints[f.name], data[f.name]) for f in needed})  # type: ignore[operator]
    origin = get_origin(kind)
    if origin is list:
        (item,) = get_args(kind)
        if not isinstance(data, list):
            raise TypeError(f"{str(data)[:40]!r} is no list")
        return [_read(item, one) for one in data]
    if origin in {Union, UnionType} and data is not None:
        return _read(next(arg for arg in get_args(kind) if arg is not type(None)), data)
    if isinstance(kind, type) and kind in {str, int} and not isinstance(data, kind):
        raise TypeError(f"{str(data)[:40]!r} is no {kind.__name__}")
    return data


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
