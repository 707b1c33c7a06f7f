"""A report's plots as SVG text: each strategy's measure with its interval, by length of the query, and by time."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import Any

from bothways.core.errors import MissingExtraError
from bothways.core.settings import settings
from bothways.evaluation.report.values import Report
from bothways.evaluation.slices import LENGTH
from bothways.evaluation.statistics import Interval

_INCHES = (7.2, 3.4)


def measure_by_strategy(report: Report) -> str:
    """Draw the deciding measure of each strategy with its 95 % interval."""
    measure = report.plan.measure
    names = list(report.strategies)
    intervals = [report.intervals[name][measure] for name in names]

    def draw(axes: Any) -> None:  # noqa: ANN401 – matplotlib comes lazily
        means = [interval.mean for interval in intervals]
        axes.barh(names, means, xerr=_ends(intervals), color="#9ecae1", ecolor="#2b5b84", capsize=3)
        axes.invert_yaxis()
        axes.set_xlabel(f"{measure}, mean of {report.queries} queries and 95 % interval")
        axes.set_xlim(0, max(0.01, min(1.0, 1.08 * max(interval.high for interval in intervals))))

    return svg("measure", draw)


def hit_rate_by_length(report: Report) -> str:
    """Draw the hit rate of each strategy over the length of the query; "" where queries have no text."""
    groups = [one for one in report.slices if one.field == LENGTH]
    if not groups:
        return ""

    def draw(axes: Any) -> None:  # noqa: ANN401
        labels = [f"{one.label}\n({one.queries})" for one in groups]
        for name, marker in zip(report.strategies, cycle("os^Dv<>")):
            # Open markers: where two strategies have the same rate, both are seen.
            rates = [one.hit_rate[name] for one in groups]
            axes.plot(labels, rates, marker=marker, markersize=8, markerfacecolor="none", alpha=0.8, label=name)
        axes.set_xlabel("length of the query in characters or words (number of queries)")
        axes.set_ylabel(f"hit@{report.depth}")
        axes.set_ylim(0, 1.03)
        axes.legend(fontsize="small", ncols=2)

    return svg("length", draw)


def latency_against_quality(report: Report) -> str:
    """Draw the deciding measure over the median time of a search; "" when nothing was searched."""
    timed = {name: row for name, row in report.strategies.items() if "p50_ms" in row}
    if not timed:
        return ""

    def draw(axes: Any) -> None:  # noqa: ANN401
        for name, row in timed.items():
            interval = report.intervals[name][report.plan.measure]
            axes.errorbar(row["p50_ms"], interval.mean, yerr=_ends([interval]), fmt="o", capsize=3)
            axes.annotate(name, (row["p50_ms"], interval.mean), xytext=(6, 4), textcoords="offset points")
        axes.set_xlabel("median time of a search, ms")
        axes.set_ylabel(report.plan.measure)
        axes.set_xlim(left=0)
        axes.margins(x=0.2)

    return svg("latency", draw)


def _ends(intervals: Sequence[Interval]) -> list[list[float]]:
    """Return how far the intervals reach below and above their means, as matplotlib draws them."""
    return [[one.mean - one.low for one in intervals], [one.high - one.mean for one in intervals]]


def svg(name: str, draw: Callable[[Any], None]) -> str:
    """Draw on one pair of axes and give the `<svg>` element; `name` keeps its ids apart from those of other plots.

    Raise `MissingExtraError` without matplotlib.
    """
    with _figure(name) as figure:
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(visible=True, alpha=0.3)
        draw(axes)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]


@contextmanager
def _figure(name: str) -> Iterator[Any]:
    # Its list of fonts is kept with all else of ours, and not in the home folder.
    os.environ.setdefault("MPLCONFIGDIR", str(settings().cache_dir / "matplotlib"))
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError('Plots need matplotlib: pip install "bothways[eval]".') from error
    # Text stays text: the browser's fonts write it, and it can be searched. The salt makes ids the same in each run.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        yield Figure(figsize=_INCHES, layout="constrained")
