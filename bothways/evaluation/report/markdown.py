"""A report as text: the tables that go into a README, a pull request or a terminal's pager."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bothways.evaluation.report.values import Report, figure
from bothways.evaluation.statistics import Comparison, Interval

_FAILURES = 20


def markdown_page(report: Report) -> str:
    """Give `report.md`: strategies, differences from the baseline, slices, what is missing, and failed queries."""
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
    """Lay the strategies out as a table, a row each."""
    rows = [
        [f"`{name}`", *(figure(column, row.get(column)) for column in report.columns)]
        for name, row in report.strategies.items()
    ]
    return table(["strategy", *report.columns], rows)


def comparison_table(comparisons: Sequence[Comparison]) -> str:
    """Lay out paired differences: paired randomisation test, p-values corrected by Holm."""
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
    return table(["", "difference", "95 %", "better / worse / equal", "p (Holm)", "significant"], rows)


def slice_table(report: Report, field: str) -> str:
    """Lay out one slicing: a row a group, the deciding measure with its interval by strategy."""
    rows = [
        [one.label, str(one.queries), *(f"{figure('', i.mean)} {between(i)}" for i in one.measured.values())]
        for one in report.slices
        if one.field == field
    ]
    return table([field, "queries", *report.strategies], rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table; cells are kept on their line."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def between(interval: Interval, *, sign: bool = False) -> str:
    """Print an interval's ends."""
    form = signed if sign else (lambda value: figure("", value))
    return f"[{form(interval.low)}, {form(interval.high)}]"


def signed(value: float) -> str:
    """Print a difference with its sign."""
    return ("+" if value >= 0 else "−") + figure("", abs(value))


def not_significant(one: Comparison) -> str:
    """Say it where a difference may be luck."""
    return "" if one.significant else " (not significant)"


def p_value(p: float) -> str:
    """Print a p-value; what is smaller than the test can tell apart is said to be so."""
    return "< .001" if p < 0.001 else figure("", p)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


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
    """Say for each strategy and stage how many searches ran without it."""
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
    return [head, *note, table(["", "query", "wanted", "found instead"], rows)]


def _first(shown: Mapping[str, tuple[str, str]]) -> list[tuple[str, tuple[str, str]]]:
    return list(shown.items())[:3]


def _name(title: str, doc_id: str, *, there: bool = True) -> str:
    return (title or doc_id) + ("" if there else " (not in the index)")
