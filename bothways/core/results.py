"""What is searched for and what a search gives: `Query` → `Hit` → `SearchResult`, frozen types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from bothways.core.datatypes import Leg, Metadata
from bothways.schemas.names import Strategy


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for: the user's words, and the pseudo-document that the dense legs ask for beside them."""

    text: str
    rewritten: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedWords:
    """What the BM25 leg found of a question in a hit, as words that the index has.

    `words` are the question's own, `synonyms` maps what stands there instead to the word that was asked. Those of
    both that its heading and text lack are in `in_questions`: only its pseudo-questions hold them. `bigrams` are
    further runs of characters that both have, of two characters or more.
    """

    words: tuple[str, ...] = ()
    synonyms: Mapping[str, str] = field(default_factory=dict)
    in_questions: tuple[str, ...] = ()
    bigrams: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LegScore:
    """Where one leg placed a hit: `rank` from 1, `score` as Elasticsearch gave it, and what matched.

    `matched` is the nearest of its questions, `words` what BM25 found; both only where they were asked for.
    """

    rank: int
    score: float
    matched: str | None = None
    words: MatchedWords | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A chunk that stands beside a hit in its document, or in the record before or after it in its file."""

    chunk_id: str
    doc_id: str
    position: int
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Context:
    """The chunks before and after a hit, both in the order in which they are read."""

    before: tuple[Neighbour, ...] = ()
    after: tuple[Neighbour, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A chunk that says the same as a hit, word for word, and is not shown beside it."""

    chunk_id: str
    doc_id: str
    title: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One chunk in a ranking. `score` is the score of the last stage that ordered it; `legs` is how it got there.

    `rank` is from 1 in the hits of a result, and 0 before.
    """

    chunk_id: str
    score: float
    rank: int = 0
    doc_id: str = ""
    position: int = 0
    title: str = ""
    text: str = ""
    source: str = ""
    metadata: Metadata = field(default_factory=dict)
    highlights: tuple[str, ...] = ()
    legs: Mapping[Leg, LegScore] = field(default_factory=dict)
    rrf: float | None = None
    convex: float | None = None
    cross_encoder: float | None = None
    context: Context | None = None
    duplicates: tuple[Copy, ...] = ()

    @property
    def explain(self) -> dict[str, LegScore | float]:
        """Where each leg placed it and by what, then the scores of the later stages that it passed."""
        rows: list[tuple[str, LegScore | float | None]] = [
            *self.legs.items(),
            ("rrf", self.rrf),
            ("convex", self.convex),
            ("cross_encoder", self.cross_encoder),
        ]
        return {name: row for name, row in rows if row is not None}


class FacetValue(NamedTuple):
    """How many candidates have a value."""

    value: str
    count: int  # type: ignore[assignment]  # instead of the tuple's method


@dataclass(frozen=True, slots=True)
class Facet:
    """How candidates divide by one field, the most frequent value first.

    `others` counts the candidates with values that are not named, `missing` those without the field.
    """

    values: tuple[FacetValue, ...]
    others: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Recognised:
    """Words of a question that stand for metadata: by field, the values that they mean (none: no chunk has such)."""

    text: str
    values: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class SelfQuery:
    """What a question's own words did to its search.

    `filter`: all hits are of what it cites; `first`: those come first, then the others; `boost`: what it names ranks
    higher. `relaxed`: nothing matched what it cites, so all was searched.
    """

    mode: Literal["filter", "first", "boost"]
    recognised: Sequence[Recognised]
    relaxed: bool = False


@dataclass(frozen=True, slots=True)
class Reranking:
    """What the reranker did: of its `candidates`, how many have a score, and how many of these from memory.

    `cached` is None for callers with access groups: it would show what others have asked.
    """

    candidates: int
    scored: int
    cached: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """What `rewrite: "auto"` decided before any language model was asked: `wanted` where `score` is above 0.

    `rule` names what decided, `score` is None if no decision was possible; `signs` are what it was computed from.
    """

    wanted: bool
    rule: str
    score: float | None
    signs: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The answer to one search: the hits, each leg's own ranking, time a stage in ms, and what was left out.

    `query` is the question as it was asked, `rewritten` the pseudo-document that the dense legs asked for beside it.
    `hits` are one page of `total` candidates, from `offset` (counted from 0) on; `facets` count all candidates.
    """

    query_id: str
    query: str
    strategy: Strategy
    collection: str
    index: str
    hits: Sequence[Hit]
    legs: Mapping[Leg, Sequence[Hit]]
    timings_ms: Mapping[str, float]
    degraded: Sequence[str] = ()
    offset: int = 0
    total: int = 0
    facets: Mapping[str, Facet] = field(default_factory=dict)
    rewritten: str | None = None
    self_query: SelfQuery | None = None
    reranking: Reranking | None = None
    expansion: Expansion | None = None

    @property
    def next_offset(self) -> int | None:
        """Where the next page begins, None at the end."""
        after = self.offset + len(self.hits)
        return after if self.hits and after < self.total else None
