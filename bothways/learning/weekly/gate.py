"""The promotion gate: a candidate goes live only where neither set of judged queries says that searches get worse.

Both sides answer the same queries as they would serve them; what decides is the paired difference, query by query, with
its 95 % interval. "Not worse" is a claim, too, and has to be shown (a test of non-inferiority): a set that is too small
or too noisy to exclude a loss refuses, instead of letting everything pass that it cannot see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from pydantic import Field

from bothways.core.collections.collection import Collection
from bothways.evaluation.build import by_document
from bothways.evaluation.judged.gold import GoldDocument, resolve_gold
from bothways.evaluation.judged.leaks import find_leaks
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.evaluation.run import Answer, Ask, run_strategies
from bothways.evaluation.statistics import Interval, Values, confidence
from bothways.learning.arguments import Arguments
from bothways.search.options import SearchOptions
from bothways.search.pipeline import Searcher

LIVE, CANDIDATE = "live", "candidate"
DEPTH = 10
PATIENCE_MS = 120_000.0
"""What reranking has for a query here: the order of a busy machine that ran out of time would be measured otherwise."""

FindGold = Callable[[Sequence[JudgedQuery]], Mapping[str, Sequence[GoldDocument]]]


class Demands(Arguments):
    """What a candidate has to show on each set of judged queries.

    The 95 % interval of the mean difference must exclude a loss of more than the set's margin, and must not lie below
    0. Held-out judgments are few, and of answers that the live version had found, so that a change can hardly gain
    there: their margin is wider.
    """

    measure: str = Field(default="ndcg@10", description="what the gate decides by")
    margin: float = Field(default=0.02, ge=0, le=1, description="loss on the regression set that must be excluded")
    margin_held_out: float = Field(default=0.05, ge=0, le=1, description="the same on the held-out judgments")
    min_held_out: int = Field(default=20, ge=1, description="held-out questions that the gate needs")
    min_regression: int = Field(default=30, ge=1, description="queries of the regression set that it needs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One set of judged queries on both sides: means of the measure, of hit@10, and the paired difference.

    `leaked` queries stand among the indexed questions of either side and were left out; `required` is the least number,
    `margin` the loss that has to be excluded.
    """

    name: str
    measure: str
    queries: int
    required: int
    leaked: int
    live: float
    candidate: float
    live_hit: float
    candidate_hit: float
    difference: Interval
    better: int
    worse: int
    margin: float
    degraded: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """Return whether the candidate may go live, why not, and by what numbers."""

    reasons: Sequence[str]
    sets: Sequence[Measured]

    @property
    def accepted(self) -> bool:
        """Return whether nothing speaks against it."""
        return not self.reasons

    def as_dict(self) -> dict[str, Any]:
        """Return what report.json says of the decision."""
        sets = [asdict(compared) for compared in self.sets]
        return {"accepted": self.accepted, "reasons": list(self.reasons), "sets": sets}


def decide(sets: Sequence[Measured]) -> Decision:
    """Decide by numbers alone: a set refuses that is too small, or that does not exclude a loss above its margin."""
    return Decision([reason for compared in sets for reason in _against(compared)], sets)


def _against(row: Measured) -> list[str]:
    if row.queries < row.required:
        leaked = f"; {row.leaked} more are indexed questions" if row.leaked else ""
        return [f"{row.name}: {row.queries} judged queries, {row.required} are needed{leaked}"]
    numbers = (
        f"{row.measure} {row.live:.4f} → {row.candidate:.4f}, difference {row.difference.mean:+.4f} "
        f"[{row.difference.low:+.4f}, {row.difference.high:+.4f}], {row.better} queries better, "
        f"{row.worse} worse"
    )
    if row.difference.high < 0:
        return [f"{row.name} gets worse: {numbers}"]
    if row.difference.low < -row.margin:
        return [f"{row.name} may get worse by more than {row.margin:g}: {numbers}"]
    return []


def measured(
    name: str,
    queries: Sequence[JudgedQuery],
    sides: tuple[Ask, Ask],
    find_gold: FindGold,
    *,
    measure: str,
    margin: float,
    required: int,
    leaked: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> Measured:
    """Ask both sides, live and candidate, the same queries, in turns, and compare query by query."""
    asks = dict(zip((LIVE, CANDIDATE), sides, strict=True))
    tally = run_strategies(queries, asks, find_gold, ks=(1, 3, 5, DEPTH), progress=progress)
    live, candidate = (tally.values[side][measure] for side in (LIVE, CANDIDATE))
    differences = candidate - live
    return Measured(
        name=name,
        measure=measure,
        queries=len(differences),
        required=required,
        leaked=leaked,
        live=_mean(live),
        candidate=_mean(candidate),
        live_hit=_mean(tally.values[LIVE][f"hit@{DEPTH}"]),
        candidate_hit=_mean(tally.values[CANDIDATE][f"hit@{DEPTH}"]),
        difference=confidence(differences),
        better=int((differences > 0).sum()),
        worse=int((differences < 0).sum()),
        margin=margin,
        degraded=sum(sum(stages.values()) for stages in tally.degraded.values()),
    )


def _mean(values: Values) -> float:
    return float(values.mean()) if len(values) else 0.0


def gate(
    live: tuple[Searcher, Collection],
    candidate: tuple[Searcher, Collection],
    *,
    held_out: Sequence[JudgedQuery],
    regression: Sequence[JudgedQuery] | None,
    options: SearchOptions,
    demands: Demands,
    progress: Callable[[], None] = lambda: None,
) -> Decision:
    """Measure a candidate beside what is live; `regression` None where the held-out judgments alone decide.

    Both sides are pinned to their version (bothways/search/pinned.py). A query that stands among the indexed questions
    of either side is left out: it would be found for that alone.
    """
    served = options.replace(
        top_k=options.leg_k, explain=False, highlight=False, rerank_budget_ms=PATIENCE_MS, min_score=None
    )
    searcher, collection = live
    sides = (_ask(*live, served), _ask(*candidate, served))
    sets = []
    both = [("held-out judgments", held_out, demands.min_held_out, demands.margin_held_out)]
    if regression is not None:
        both.append(("regression set", regression, demands.min_regression, demands.margin))
    for name, queries, required, margin in both:
        known = {
            leak.query_id for side in (live[1], candidate[1]) for leak in find_leaks(searcher.client, side, queries)
        }
        sets.append(
            measured(
                name,
                [query for query in queries if query.query_id not in known],
                sides,
                partial(resolve_gold, searcher.client, collection),
                measure=demands.measure,
                margin=margin,
                required=required,
                leaked=len(known),
                progress=progress,
            )
        )
    return decide(sets)


def _ask(searcher: Searcher, collection: Collection, options: SearchOptions) -> Ask:
    def ask(query: JudgedQuery) -> Answer:
        result = searcher.search(query.text, collection.name, options)
        return Answer(ranking=by_document(result.hits), ms=result.timings_ms["total"], degraded=result.degraded)

    return ask
