"""A report as text: the tables that go into a README, a pull request or a terminal's pager."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bothways.core.text.markdown import markdown_table
from bothways.evaluation.report.values import Report, figure
from bothways.evaluation.statistics import Comparison, Interval

_FAILURES = 20


def markdown_page(report: Report) -> str:
    """Return `report.md`: strategies, differences from the baseline, slices, missing documents, failed queries."""
    measure = report.plan.measure
    parts = [
        f"# {report.queries} queries on {report.about.get('index', 'runs from files')}",
        strategy_table(report),
        f"95 % intervals of {measure}: "
        + "; ".join(f"{name} {between(row[measure])}" for name, row in report.intervals.items()),
    ]
    if report.comparisons:
        parts += [f"## {measure} against {report.comparisons[0].baseline}", comparison_table(report.comparisons)]
    for field in dict.fromkeys(one.field for one in report.slices):
        parts += [f"## {measure} by {field}", slice_table(report, field)]
    parts += _gold_not_in_index(report) + _degraded(report) + _failures(report)
    return "\n\n".join(parts) + "\n"


def strategy_table(report: Report) -> str:
    """Return a table with a row a strategy."""
    rows = [
        [f"`{name}`", *(figure(column, row.get(column)) for column in report.columns)]
        for name, row in report.strategies.items()
    ]
    return markdown_table(["strategy", *report.columns], rows)


def comparison_table(comparisons: Sequence[Comparison]) -> str:
    """Return a table of paired differences: paired randomisation test, p-values corrected by Holm."""
    rows = [
        [
            f"`{one.name}`",
            signed(one.difference.mean),
            between(one.difference, sign=True),
            f"{one.better} / {one.worse} / {one.equal}",
            p_value(one.p_adjusted),
            "yes" if one.significant else "no",
        ]
        for one in comparisons
    ]
    return markdown_table(["", "difference", "95 %", "better / worse / equal", "p (Holm)", "significant"], rows)


def slice_table(report: Report, field: str) -> str:
    """Return a table with a row a group: the deciding measure with its interval by strategy."""
    rows = [
        [one.label, str(one.queries), *(f"{figure('', i.mean)} {between(i)}" for i in one.measured.values())]
        for one in report.slices
        if one.field == field
    ]
    return markdown_table([field, "queries", *report.strategies], rows)


def between(interval: Interval, *, sign: bool = False) -> str:
    """Return the ends of an interval, as `[.41, .52]`."""
    form = signed if sign else (lambda value: figure("", value))
    return f"[{form(interval.low)}, {form(interval.high)}]"


def signed(value: float) -> str:
    """Return a difference with its sign."""
    return ("+" if value >= 0 else "−") + figure("", abs(value))


def not_significant(one: Comparison) -> str:
    """Return a remark for a difference that may be chance, else ""."""
    return "" if one.significant else " (not significant)"


def p_value(p: float) -> str:
    """Return a p-value; below .001 the test cannot distinguish values."""
    return "< .001" if p < 0.001 else figure("", p)


def _gold_not_in_index(report: Report) -> list[str]:
    if not report.missing:
        return []
    more = report.missing - len(report.missing_named)
    named = [f"- {name}" for name in report.missing_named] + ([f"- … and {more} more"] if more else [])
    return [
        f"## {report.missing} judged documents are not in the index",
        f"They count as not found; {len(report.unanswerable)} queries have no other and score 0.",
        "\n".join(named),
    ]


def _degraded(report: Report) -> list[str]:
    if not report.degraded:
        return []
    return ["## Searches that ran without a part", "\n".join(f"- {line}" for line in degraded_lines(report))]


def degraded_lines(report: Report) -> list[str]:
    """Return a line for each strategy and stage that searches ran without."""
    return [
        f"{name}: {times} of {report.queries} searches ran without {stage}"
        for name, stages in report.degraded.items()
        for stage, times in stages.items()
    ]


def _failures(report: Report) -> list[str]:
    head = (
        f"## {report.failed} queries for which {report.failures_of} has nothing relevant among the first {report.depth}"
    )
    rows = [
        [
            row.query.query_id,
            row.query.text,
            "; ".join(_name(d.title, d.doc_id, there=d.in_index) for d in row.gold if d.relevance > 0),
            "; ".join(_name(title, doc) for doc, (title, _) in _first(row.scored[report.failures_of].answer.shown)),
        ]
        for row in report.failures[:_FAILURES]
    ]
    if not rows:
        return [head]
    note = [] if report.failed <= len(rows) else [f"The first {len(rows)}; all are in per_query.jsonl."]
    return [head, *note, markdown_table(["", "query", "wanted", "found instead"], rows)]


def _first(shown: Mapping[str, tuple[str, str]]) -> list[tuple[str, tuple[str, str]]]:
    return list(shown.items())[:3]


def _name(title: str, doc_id: str, *, there: bool = True) -> str:
    return (title or doc_id) + ("" if there else " (not in the index)")
