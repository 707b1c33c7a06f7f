"""All queries through all strategies, in batches: each batch is searched, measured, passed on and dropped.

Only one number a query, strategy and measure is kept, so memory stays small. The strategies take turns in going first,
so that none of them always finds Elasticsearch's caches warm.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import ir_measures
import numpy as np

from bothways.core.batches import batched
from bothways.evaluation.judged.gold import GoldDocument, relevance_of
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.evaluation.measures import evaluate, measures_of
from bothways.evaluation.slices import label_of
from bothways.evaluation.statistics import Values

BATCH = 50
"""Queries that are held at once."""
UNHURRIED_MS = 600_000.0
"""A limit that no stage of a search reaches: what is measured must not depend on how busy the machine is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer of one strategy to one query: documents by score (best first), with titles and texts to show.

    `ms` is None if nothing was searched, as for a run that was read from a file.
    """

    ranking: Mapping[str, float]
    shown: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    ms: float | None = None
    degraded: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Scored:
    """An answer with what it is worth; `first_gold` is the rank (from 1) of the first relevant document, or None."""

    answer: Answer
    values: Mapping[str, float]
    first_gold: int | None


@dataclass(frozen=True, slots=True)
class QueryRow:
    """One query with its judged documents and what every strategy made of it."""

    query: JudgedQuery
    gold: Sequence[GoldDocument]
    scored: Mapping[str, Scored]

    def failed(self, strategy: str, depth: int) -> bool:
        """Return whether the strategy has no relevant document among its first `depth`."""
        first = self.scored[strategy].first_gold
        return first is None or first > depth


Ask = Callable[[JudgedQuery], Answer]
FindGold = Callable[[Sequence[JudgedQuery]], Mapping[str, Sequence[GoldDocument]]]


@dataclass(slots=True, kw_only=True)
class Tally:
    """The numbers that remain of all queries."""

    queries: int = 0
    values: dict[str, dict[str, Values]] = field(default_factory=dict)
    times: dict[str, Values] = field(default_factory=dict)
    labels: dict[str, list[str]] = field(default_factory=dict)
    degraded: dict[str, dict[str, int]] = field(default_factory=dict)
    missing: int = 0
    missing_named: list[str] = field(default_factory=list)
    unanswerable: list[str] = field(default_factory=list)


MISSING_NAMED = 100
"""Judged documents missing in the index that are named; further ones are only counted."""


def run_strategies(
    queries: Sequence[JudgedQuery],
    strategies: Mapping[str, Ask],
    find_gold: FindGold,
    *,
    ks: Sequence[int],
    slices: Sequence[str] = (),
    sink: Callable[[QueryRow], None] = lambda _: None,
    progress: Callable[[], None] = lambda: None,
) -> Tally:
    """Search, measure and count; finished queries go to `sink`, in order. `progress` is called once a search."""
    named = measures_of(ks)
    collected = {name: {measure: array("d") for measure in named} for name in strategies}
    times = {name: array("d") for name in strategies}
    degraded: dict[str, Counter[str]] = {name: Counter() for name in strategies}
    tally = Tally(labels={label: [] for label in slices})
    for rows in _rows(queries, strategies, find_gold, named, progress):
        for row in rows:
            tally.queries += 1
            _note_gold(tally, row)
            for label, groups in tally.labels.items():
                groups.append(label_of(row.query, label))
            for name, scored in row.scored.items():
                for measure, value in scored.values.items():
                    collected[name][measure].append(value)
                if scored.answer.ms is not None:
                    times[name].append(scored.answer.ms)
                degraded[name].update(scored.answer.degraded)
            sink(row)
    tally.values = {name: {m: np.array(v) for m, v in columns.items()} for name, columns in collected.items()}
    tally.times = {name: np.array(measured) for name, measured in times.items()}
    tally.degraded = {name: dict(counted) for name, counted in degraded.items() if counted}
    return tally


def _rows(
    queries: Sequence[JudgedQuery],
    strategies: Mapping[str, Ask],
    find_gold: FindGold,
    named: Mapping[str, ir_measures.Measure],
    progress: Callable[[], None],
) -> Iterator[list[QueryRow]]:
    names = list(strategies)
    turn = 0
    for batch in batched(queries, BATCH):
        gold = find_gold(batch)
        answers: dict[str, dict[str, Answer]] = {name: {} for name in names}
        for query in batch:
            for name in names[turn:] + names[:turn]:
                answers[name][query.query_id] = strategies[name](query)
                progress()
            turn = (turn + 1) % len(names)
        yield _scored(batch, gold, answers, named)


def _scored(
    batch: Sequence[JudgedQuery],
    gold: Mapping[str, Sequence[GoldDocument]],
    answers: Mapping[str, Mapping[str, Answer]],
    named: Mapping[str, ir_measures.Measure],
) -> list[QueryRow]:
    qrels = {q.query_id: relevance_of(gold[q.query_id]) for q in batch}
    values = {
        name: evaluate(qrels, {query_id: answer.ranking for query_id, answer in given.items()}, named)
        for name, given in answers.items()
    }
    return [
        QueryRow(
            query,
            gold[query.query_id],
            {
                name: Scored(
                    given[query.query_id],
                    values[name][query.query_id],
                    _first_gold(given[query.query_id].ranking, qrels[query.query_id]),
                )
                for name, given in answers.items()
            },
        )
        for query in batch
    ]


def _first_gold(ranking: Mapping[str, float], relevant: Mapping[str, int]) -> int | None:
    ranks = (rank for rank, document in enumerate(ranking, start=1) if relevant.get(document, 0) > 0)
    return next(ranks, None)


def _note_gold(tally: Tally, row: QueryRow) -> None:
    absent = [document.doc_id for document in row.gold if document.relevance > 0 and not document.in_index]
    tally.missing += len(absent)
    for document in absent[: MISSING_NAMED - len(tally.missing_named)]:
        tally.missing_named.append(f"{row.query.query_id}: {document}")
    if absent and len(absent) == sum(document.relevance > 0 for document in row.gold):
        tally.unanswerable.append(row.query.query_id)
