"""`POST /api/v1/search`: a question with its options, and the hits that answer it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AliasChoices, AliasPath, BeforeValidator, ConfigDict, Field, ValidationInfo

from bothways.schemas import examples
from bothways.schemas.base import Request, Response, only_if_set
from bothways.schemas.bounds import MAX_WINDOW, NAME, NOT_EMPTY
from bothways.schemas.filters import Condition
from bothways.schemas.names import Action, Fusion, Strategy
from bothways.schemas.options import RequestOptions


class SearchRequest(RequestOptions, Request):
    """A search. Unknown fields are refused, so that a misspelt option is noticed."""

    model_config = ConfigDict(strict=True, json_schema_extra={"examples": examples.SEARCHES})

    query: str = Field(description="the question, in the user's words", json_schema_extra=NOT_EMPTY)
    collection: str = Field(description="where to search", json_schema_extra=NAME)
    filters: dict[str, Condition] = Field(
        default_factory=dict,
        max_length=50,
        description="what hits' metadata must be: a value, any of a list, or an object of operators",
    )
    self_query: bool | None = Field(None, description="read names and numbers out of the question; null: as set")
    fusion: Fusion | None = Field(None, description="how BM25 and dense become one; null: as the settings say")
    deduplicate: bool | None = Field(None, description="show equal texts once; null: as the settings say")
    leg_k: int | None = Field(
        None,
        alias="rank_window_size",
        ge=1,
        le=MAX_WINDOW,
        description="hits that each leg brings; unset: BOTHWAYS_LEG_K",
    )

    def given(self) -> dict[str, Any]:
        """Return the options by their names, None where nothing is given; filters are plain data."""
        given = {name: getattr(self, name) for name in REQUEST_OPTIONS}
        if self.filters:
            given["filters"] = self.model_dump(include={"filters"}, by_alias=True, exclude_unset=True)["filters"]
        return given


REQUEST_OPTIONS = tuple(name for name in SearchRequest.model_fields if name not in {"query", "collection"})
"""The options that a request may have beside its question, by the names of `SearchOptions`."""


def _unless_left_out(value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 – a field as it comes
    return value if (info.context or {}).get("explain", True) else None


T = TypeVar("T")
Explained = Annotated[T | None, BeforeValidator(_unless_left_out)]
"""What only `explain` asks for: a model that is made with the context `{"explain": False}` leaves it out."""


def _in_words(name: str, description: str) -> Any:  # noqa: ANN401 – a field's default
    """Return a field that a leg's `words` have inside, and JSON beside its rank."""
    return only_if_set(description, validation_alias=AliasChoices(AliasPath("words", name), name))


class LegExplain(Response):
    """Where one leg placed a hit, and what it found: the nearest question, or what BM25 matched."""

    rank: int
    score: float = Field(
        description="as Elasticsearch gave it; BM25's is one of the rank alone for keys that see a part of a collection"
    )
    matched: str | None = only_if_set()
    words: list[str] | None = _in_words("words", "the question's words that BM25 found")
    synonyms: dict[str, str] | None = _in_words("synonyms", "what stands there instead: of which word of the question")
    in_questions: list[str] | None = _in_words("in_questions", "those of them that only its pseudo-questions have")
    bigrams: list[str] | None = _in_words("bigrams", "longer runs of characters that question and chunk share")


class Neighbour(Response):
    """A chunk beside a hit."""

    chunk_id: str
    doc_id: str
    position: int
    title: str
    text: str


class Context(Response):
    """The chunks before and after a hit, in the order in which they are read."""

    before: list[Neighbour]
    after: list[Neighbour]


class Copy(Response):
    """A chunk with the text of a hit, which is not shown beside it."""

    chunk_id: str
    doc_id: str
    title: str
    source: str


class Hit(Response):
    """One hit; `rank` is from 1. `explain` says where each leg placed it, `context` what stands beside it."""

    rank: int
    score: float
    chunk_id: str
    doc_id: str
    title: str
    text: str
    source: str
    metadata: dict[str, Any]
    highlights: list[str] = Field(default_factory=list)
    duplicates: list[Copy] = Field(default_factory=list, exclude_if=lambda copies: not copies)
    explain: Explained[dict[str, float | LegExplain]] = only_if_set()
    context: Context | None = only_if_set()


class FacetValue(Response):
    """How many candidates have a value."""

    value: str
    count: int


class Facet(Response):
    """Candidates by one field; `others` have values that are not named, `missing` have none."""

    values: list[FacetValue]
    others: int
    missing: int


class Recognised(Response):
    """Words of the question, and the metadata values that they mean, by field (none: no chunk has such)."""

    text: str
    values: dict[str, list[str]]


class SelfQuery(Response):
    """What the question's own words did: `filter` (only what it cites), `first` (that first), `boost` (that higher).

    `relaxed`: nothing matched what it cites, so all was searched.
    """

    mode: Literal["filter", "first", "boost"]
    recognised: list[Recognised]
    relaxed: bool


class Reranking(Response):
    """What the reranker did: of its candidates, how many have a score, and how many of these from memory."""

    candidates: int
    scored: int
    cached: int | None = Field(None, description="null for keys with access groups: it would tell what others asked")


class Expansion(Response):
    """Why `rewrite: auto` asked the language model (score above 0), or did not: the rule and the signs it went by."""

    wanted: bool
    rule: str
    score: float | None
    signs: dict[str, float]


class SearchResult(Response):
    """The answer to a search: one page of `total` candidates; `next_offset` is null at the end.

    `degraded` names the stages that were left out.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [examples.SEARCH_RESULT]})

    query_id: str
    query: str
    rewritten: str | None = None
    strategy: Strategy
    collection: str
    index: str
    hits: list[Hit]
    timings_ms: dict[str, float]
    degraded: list[str]
    offset: int = 0
    total: int = 0
    next_offset: int | None = None
    facets: dict[str, Facet] = Field(default_factory=dict)
    self_query: SelfQuery | None = None
    reranking: Explained[Reranking] = only_if_set()
    expansion: Explained[Expansion] = only_if_set()


class FeedbackRequest(Request):
    """What a user did with a hit of a search."""

    query_id: str = Field(pattern=r"^[0-9a-f]{32}$", description="the `query_id` of the search's answer")
    chunk_id: str = Field(min_length=1, max_length=600, description="the `chunk_id` of the hit")
    action: Action = Field(description="opened it, passed it over, voted for it, voted against it")
