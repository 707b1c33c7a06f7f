"""What an evaluation found, as one value: means, intervals, comparisons, slices and failures; and as `report.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from bothways.evaluation.measures import table_columns
from bothways.evaluation.run import QueryRow, Tally
from bothways.evaluation.slices import in_order
from bothways.evaluation.statistics import Comparison, Interval, Values, compare, confidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to decide by: cut-offs, the measure that decides, the baseline, and the slices to look at."""

    ks: Sequence[int] = (1, 3, 5, 10)
    measure: str = "ndcg@10"
    baseline: str | None = None
    slices: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One group of queries: its size, and by strategy the interval of the deciding measure and the hit rate."""

    field: str
    label: str
    queries: int
    measured: Mapping[str, Interval]
    hit_rate: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an evaluation found.

    `strategies` has a row of means a strategy (with `p50_ms` and `p95_ms` where it was searched), `intervals` the
    95 % interval of each measure in the table. `failures` are queries for which `failures_of` – the best strategy by
    the deciding measure – brought nothing relevant among the first max(ks); `failed` counts all of them.
    """

    about: Mapping[str, Any]
    queries: int
    plan: Plan
    strategies: Mapping[str, Mapping[str, float]]
    intervals: Mapping[str, Mapping[str, Interval]]
    comparisons: Sequence[Comparison]
    slices: Sequence[Slice]
    missing: int
    missing_named: Sequence[str]
    unanswerable: Sequence[str]
    degraded: Mapping[str, Mapping[str, int]]
    failures_of: str
    failed: int
    failures: Sequence[QueryRow] = field(default_factory=list)

    @property
    def depth(self) -> int:
        """How far down a relevant document may stand for the query to count as answered."""
        return max(self.plan.ks)

    @property
    def columns(self) -> list[str]:
        """The measures and times that a table shows, in order."""
        times = ["p50_ms", "p95_ms"] if any("p50_ms" in row for row in self.strategies.values()) else []
        return [*table_columns(self.plan.ks), *times]

    def as_dict(self) -> dict[str, Any]:
        """Return `report.json`, as the contract has it: `strategies` and `queries`, and what else is known."""
        return {
            **self.about,
            "queries": self.queries,
            "measure": self.plan.measure,
            "baseline": self.comparisons[0].baseline if self.comparisons else None,
            "strategies": self.strategies,
            "confidence_95": {
                name: {measure: [interval.low, interval.high] for measure, interval in row.items()}
                for name, row in self.intervals.items()
            },
            "comparisons": [asdict(one) | {"significant": one.significant} for one in self.comparisons],
            "slices": [asdict(one) for one in self.slices],
            "gold_not_in_index": {
                "documents": self.missing,
                "named": self.missing_named,
                "queries_without_any": self.unanswerable,
            },
            "degraded": self.degraded,
            "failures": {"strategy": self.failures_of, "depth": self.depth, "queries": self.failed},
        }


class FailureList:
    """Keeps the first queries that each strategy failed, so that the best one's can be shown when it is known."""

    def __init__(self, strategies: Sequence[str], depth: int, *, at_most: int = 100) -> None:
        self._depth = depth
        self._at_most = at_most
        self.kept: dict[str, list[QueryRow]] = {name: [] for name in strategies}
        self.counted = dict.fromkeys(strategies, 0)

    def __call__(self, row: QueryRow) -> None:
        """Note one query."""
        for name, kept in self.kept.items():
            if row.failed(name, self._depth):
                self.counted[name] += 1
                if len(kept) < self._at_most:
                    kept.append(row)


def make_report(tally: Tally, failures: FailureList, plan: Plan, about: Mapping[str, Any]) -> Report:
    """Turn the numbers of all queries into what one can decide by."""
    names = list(tally.values)
    columns = table_columns(plan.ks)
    means = {name: {m: _mean(v) for m, v in row.items()} for name, row in tally.values.items()}
    best = max(names, key=lambda name: means[name][plan.measure])
    baseline = plan.baseline or names[0]
    base = tally.values[baseline][plan.measure]
    sides = {name: (tally.values[name][plan.measure], base) for name in names if name != baseline}
    return Report(
        about=about,
        queries=tally.queries,
        plan=plan,
        strategies={name: {**means[name], **percentiles(tally.times[name])} for name in names},
        intervals={
            name: {m: confidence(tally.values[name][m]) for m in dict.fromkeys([*columns, plan.measure])}
            for name in names
        },
        comparisons=compare(sides, baseline=baseline, measure=plan.measure),
        slices=[one for label in tally.labels for one in _slices(tally, label, plan)],
        missing=tally.missing,
        missing_named=tally.missing_named,
        unanswerable=tally.unanswerable,
        degraded=tally.degraded,
        failures_of=best,
        failed=failures.counted[best],
        failures=failures.kept[best],
    )


def _mean(values: Values) -> float:
    return float(values.mean()) if len(values) else 0.0


def _slices(tally: Tally, label: str, plan: Plan) -> list[Slice]:
    labels = np.array(tally.labels[label])
    found = []
    for group in in_order(sorted(set(tally.labels[label]))):
        members = labels == group
        picked = {name: {m: v[members] for m, v in row.items()} for name, row in tally.values.items()}
        found.append(
            Slice(
                field=label,
                label=group,
                queries=int(members.sum()),
                measured={name: confidence(row[plan.measure]) for name, row in picked.items()},
                hit_rate={name: _mean(row[f"hit@{max(plan.ks)}"]) for name, row in picked.items()},
            )
        )
    return found


def percentiles(times_ms: Values) -> dict[str, float]:
    """Return the median and the 95th percentile of one strategy's times in milliseconds; nothing without times."""
    if not len(times_ms):
        return {}
    p50, p95 = np.percentile(times_ms, [50, 95])
    return {"p50_ms": round(float(p50), 2), "p95_ms": round(float(p95), 2)}


def figure(name: str, value: float | None) -> str:
    """Print one figure as tables have it: milliseconds with one place, measures with three and no leading zero."""
    if value is None:
        return "–"
    if name.endswith("_ms"):
        return f"{value:.1f}"
    text = f"{value:.3f}"
    return text.replace("0.", ".", 1) if abs(value) < 0.9995 else text
