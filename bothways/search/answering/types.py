"""The types of answering: the question, the passages, the citations, the answer and its events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bothways.core.datatypes import Metadata
from bothways.core.results import Hit, SearchResult
from bothways.schemas.names import AnswerStatus, Role
from bothways.search.options import SearchOptions


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of the conversation."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A question to a collection, how to search for it, and the earlier messages, the oldest first."""

    query: str
    collection: str
    options: SearchOptions
    history: Sequence[Turn] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A run of neighbouring chunks of one document, as the language model reads it; `n`, from 1, is its number.

    `chunk_id` is the best of its chunks, `chunk_ids` are all in the order of the text. `hit` is the hit that it was
    made from, at `rank` of the search (from 1).
    """

    n: int
    hit: Hit
    rank: int
    chunk_id: str
    chunk_ids: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A passage that the answer refers to as `[n]`."""

    n: int
    chunk_id: str
    doc_id: str
    title: str
    source: str
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to a question.

    `text` is None where there is no language model, or it wrote nothing; `note` explains the status to people.
    `standalone` is the condensed question that was searched for, None where it was searched for as it is. `removed`
    counts citations that named no passage; they are not in `text`.
    """

    query: str
    standalone: str | None
    status: AnswerStatus
    text: str | None
    passages: Sequence[Passage]
    citations: Sequence[Citation]
    removed: int
    result: SearchResult
    timings_ms: Mapping[str, float]
    degraded: Sequence[str] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer that is being written; its citations are checked already."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The end: the whole answer, which may differ from the pieces."""

    answer: Answer


Event = Delta | Done
