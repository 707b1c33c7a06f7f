"""What an expansion is worth: nDCG@10 of a judged query with it less that without, in the strategy that is served.

The same searches as users make: the plain one, and one with a pseudo-document in the dense legs.
Out comes an `Example` a query: its rewards, and the signs of its first pass, by which
bothways/search/query/when_to_rewrite.py decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bothways.core.errors import EvaluationError, UsageError
from bothways.core.results import SearchResult
from bothways.evaluation.build import by_document
from bothways.evaluation.judged.gold import relevance_of, resolve_gold
from bothways.evaluation.judged.leaks import open_judged
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.evaluation.measures import evaluate, measures_of
from bothways.evaluation.run import UNHURRIED_MS
from bothways.schemas.names import Strategy
from bothways.search.options import LEGS, REWRITTEN, SearchOptions
from bothways.search.pipeline import Searcher
from bothways.search.query.when_to_rewrite import decide

MEASURE = "ndcg@10"
DEPTH = 10
SERVED: tuple[Strategy, ...] = tuple(
    name for name, legs in LEGS.items() if name not in REWRITTEN and legs != ("bm25",) and name != "dedup"
)
"""Strategies whose dense legs a pseudo-document changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPass:
    """One query without an expansion: its nDCG@10, its signs, and what `auto` decides now.

    `may_ask` is False if `auto` never asks, since the question is nothing but a citation.
    """

    value: float
    signs: Mapping[str, float]
    in_use: bool
    may_ask: bool


@dataclass(frozen=True, slots=True)
class Example:
    """One query with the rewards of its samples; a failed sample has 0, for a search goes on without it."""

    query_id: str
    first: FirstPass
    rewards: Sequence[float]

    @property
    def mean(self) -> float:
        """What one expansion brings on average: what a search gets that asks once."""
        return sum(self.rewards) / len(self.rewards)

    @property
    def best(self) -> float:
        """What the best of the samples brings."""
        return max(self.rewards)


class Given:
    """A `Rewriter` that gives the pseudo-document that it was told last; not for several threads."""

    def __init__(self) -> None:
        self.pseudo_doc = ""

    def rewrite(self, question: str, *, deadline_s: float) -> str:  # noqa: ARG002 – part of the interface
        """Return it, at once."""
        return self.pseudo_doc


class Bench:
    """Measures queries of one collection with and without expansions, one at a time.

    `searcher` has `given` as its rewriter. Raise `UsageError` for a strategy that no expansion changes,
    `EvaluationError` if judged queries are indexed questions, and where a search ran without one of its parts.
    """

    def __init__(
        self,
        searcher: Searcher,
        given: Given,
        collection: str,
        queries: Sequence[JudgedQuery],
        *,
        options: SearchOptions,
        allow_leaks: bool = False,
    ) -> None:
        if options.strategy not in SERVED:
            raise UsageError(
                f"Expansion changes nothing in {options.strategy!r}, or is in it already: --strategy wants "
                f"{', '.join(SERVED)}."
            )
        if options.leg_k < DEPTH:
            raise UsageError(f"BOTHWAYS_LEG_K has to be {DEPTH} at least: what is measured is {MEASURE}.")
        self._searcher = searcher
        self._given = given
        self.opened = open_judged(searcher.client, collection, queries, allow_leaks=allow_leaks)
        self._queries = {query.query_id: query for query in queries}
        self._gold: dict[str, dict[str, int]] = {}
        self._named = {MEASURE: measures_of([DEPTH])[MEASURE]}
        self._options = options.replace(
            top_k=options.leg_k,
            explain=False,
            highlight=False,
            rerank_budget_ms=UNHURRIED_MS,
            search_timeout_ms=UNHURRIED_MS,
            encode_timeout_ms=UNHURRIED_MS,
        )

    def first_pass(self, query_id: str) -> FirstPass:
        """Search without an expansion."""
        query = self._queries[query_id]
        result = self._search(query, self._options.replace(rewrite="none"))
        decision = decide(self._searcher.expansion_rule, query.text, result.legs, depth=self._options.depth)
        cites = result.self_query is not None and result.self_query.mode == "filter" and not result.self_query.relaxed
        return FirstPass(
            value=self._value(query, result),
            signs=decision.signs,
            in_use=decision.wanted and not cites,
            may_ask=not cites,
        )

    def expanded(self, query_id: str, pseudo_doc: str) -> float:
        """Search with an expansion; gives the measure's value."""
        query = self._queries[query_id]
        self._given.pseudo_doc = pseudo_doc
        return self._value(query, self._search(query, self._options.replace(rewrite="query2doc")))

    def _search(self, query: JudgedQuery, options: SearchOptions) -> SearchResult:
        result = self._searcher.search(query.text, self.opened.name, options)
        if result.degraded:
            raise EvaluationError(
                f"The search for query {query.query_id[:40]!r} ran without {', '.join(result.degraded)}, so that its "
                f"value is not that of {options.strategy}. --strategy names another; the log says why."
            )
        return result

    def _value(self, query: JudgedQuery, result: SearchResult) -> float:
        gold = self._gold.get(query.query_id)
        if gold is None:
            found = resolve_gold(self._searcher.client, self.opened, [query])
            gold = self._gold[query.query_id] = relevance_of(found[query.query_id])
        run = {query.query_id: by_document(result.hits)}
        return evaluate({query.query_id: gold}, run, self._named)[query.query_id][MEASURE]
