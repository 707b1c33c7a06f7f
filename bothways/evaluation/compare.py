"""Two builds against each other: the reports of two evaluations of the same queries, strategy by strategy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bothways.core.errors import EvaluationError
from bothways.core.text.markdown import markdown_table
from bothways.evaluation.judged.qrels import lines_of
from bothways.evaluation.report.markdown import between, comparison_table, signed
from bothways.evaluation.report.write import ROWS
from bothways.evaluation.slices import in_order, length_group
from bothways.evaluation.statistics import Comparison, Interval, Values, confidence
from bothways.evaluation.statistics import compare as compare_values

_CHANGED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One query that the second build answers better or worse."""

    query_id: str
    query: str
    strategy: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class LengthGroup:
    """Queries of one length: how many, and each strategy's mean difference with its 95 % interval."""

    label: str
    queries: int
    differences: Mapping[str, Interval]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildComparison:
    """What changed from one report to another.

    `comparisons` has one entry a strategy (baseline: the same strategy in the first report), over the `queries` that
    both reports have; `only_first` and `only_second` count the others. `by_length` breaks the differences down by the
    length of the query, `changed` are the queries that changed most.
    """

    first: str
    second: str
    measure: str
    queries: int
    only_first: int
    only_second: int
    comparisons: Sequence[Comparison]
    by_length: Sequence[LengthGroup]
    changed: Sequence[Changed]

    def markdown(self) -> str:
        """Return the comparison as Markdown."""
        parts = [f"# {self.measure}: {self.second} against {self.first}, {self.queries} queries in both"]
        if self.only_first or self.only_second:
            parts.append(
                f"Left out: {self.only_first} queries only in the first, {self.only_second} only in the second."
            )
        parts.append(comparison_table(self.comparisons))
        names = [one.name for one in self.comparisons]
        lengths = [
            [
                group.label,
                str(group.queries),
                *(f"{signed(i.mean)} {between(i, sign=True)}" for i in group.differences.values()),
            ]
            for group in self.by_length
        ]
        parts += ["By length of the query:", markdown_table(["length", "queries", *names], lengths)]
        rows = [
            [
                one.strategy,
                one.query_id,
                one.query,
                f"{one.before:.3f} → {one.after:.3f}",
                signed(one.after - one.before),
            ]
            for one in self.changed
        ]
        if rows:
            parts += ["Queries that changed most:", markdown_table(["strategy", "", "query", self.measure, ""], rows)]
        return "\n\n".join(parts) + "\n"


def compare_reports(first: Path, second: Path, *, measure: str | None = None) -> BuildComparison:
    """Compare two `report.json` by the first's deciding measure, or another that both have.

    Beside each lies its `per_query.jsonl`. Raise `EvaluationError` for reports that cannot be compared.
    """
    before, after = (_load(path) for path in (first, second))
    measure = measure or str(before.report.get("measure", "ndcg@10"))
    strategies = [name for name in before.report["strategies"] if name in after.report["strategies"]]
    if not strategies:
        raise EvaluationError(
            f"The reports have no strategy in common: {', '.join(before.report['strategies'])} and "
            f"{', '.join(after.report['strategies'])}."
        )
    common = [query_id for query_id in before.rows if query_id in after.rows]
    if not common:
        raise EvaluationError(f"{first} and {second} have no query in common.")
    sides = {name: (after.values(common, name, measure), before.values(common, name, measure)) for name in strategies}
    changed = [
        Changed(
            query_id=query_id,
            query=str(before.rows[query_id]["query"]),
            strategy=name,
            before=float(old),
            after=float(new),
        )
        for name, (mine, base) in sides.items()
        for query_id, old, new in zip(common, base, mine, strict=True)
        if old != new
    ]
    return BuildComparison(
        first=str(first),
        second=str(second),
        measure=measure,
        queries=len(common),
        only_first=len(before.rows) - len(common),
        only_second=len(after.rows) - len(common),
        comparisons=compare_values(sides, baseline="the first report", measure=measure),
        by_length=_by_length([str(before.rows[query_id]["query"]) for query_id in common], sides),
        changed=sorted(changed, key=lambda one: -abs(one.after - one.before))[:_CHANGED],
    )


def _by_length(texts: Sequence[str], sides: Mapping[str, tuple[Values, Values]]) -> list[LengthGroup]:
    labels = np.array([length_group(text) for text in texts])
    groups = []
    for label in in_order(sorted(set(labels.tolist()))):
        members = labels == label
        differences = {name: confidence((mine - base)[members]) for name, (mine, base) in sides.items()}
        groups.append(LengthGroup(label, int(members.sum()), differences))
    return groups


@dataclass(frozen=True, slots=True)
class _Loaded:
    path: Path
    report: Mapping[str, Any]
    rows: Mapping[str, Mapping[str, Any]]

    def values(self, query_ids: Sequence[str], strategy: str, measure: str) -> Values:
        try:
            return np.array(
                [self.rows[query_id]["strategies"][strategy][measure] for query_id in query_ids], dtype=float
            )
        except KeyError as error:
            raise EvaluationError(f"{self.path.with_name(ROWS)} lacks {error} of {strategy}.") from error


def _load(path: Path) -> _Loaded:
    path = path / "report.json" if path.is_dir() else path
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path} cannot be read as a report: {error}.") from error
    if not isinstance(report, dict) or not isinstance(report.get("strategies"), dict):
        raise EvaluationError(f"{path} is not a report of `bothways eval`: it has no strategies.")
    rows: dict[str, Mapping[str, Any]] = {}
    beside = path.with_name(ROWS)
    for number, line in lines_of(beside):
        try:
            row = json.loads(line)
            rows[row["query_id"]] = row
        except (ValueError, KeyError, TypeError) as error:
            raise EvaluationError(f"{beside}, line {number}: not a query's row ({error}).") from error
    return _Loaded(path, report, rows)
