"""A report as one HTML file that needs nothing else: tables, plots, and a page for each failed query."""

from __future__ import annotations

import base64
from typing import Any

import jinja2

from bothways.core.errors import MissingExtraError
from bothways.evaluation.report.markdown import between, degraded_lines, p_value, signed
from bothways.evaluation.report.plots import hit_rate_by_length, latency_against_quality, measure_by_strategy
from bothways.evaluation.report.values import Report, figure


def html_page(report: Report) -> str:
    """Return `report.html`. Without matplotlib the page stands without plots and says what to install."""
    plots: dict[str, str] = {}
    no_plots = ""
    try:
        plots = {
            f"{report.plan.measure} by strategy": measure_by_strategy(report),
            f"hit@{report.depth} by length of the query": hit_rate_by_length(report),
            f"{report.plan.measure} against the time of a search": latency_against_quality(report),
        }
    except MissingExtraError as error:
        no_plots = str(error)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            plots={name: _data_uri(plot) for name, plot in plots.items() if plot},
            no_plots=no_plots,
            best=_best(report),
            degraded=degraded_lines(report),
            slice_fields=list(dict.fromkeys(one.field for one in report.slices)),
        )
    )


def _data_uri(svg: str) -> str:
    """Put a picture into the page as an image of its own: the ids of several plots would clash."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _best(report: Report) -> dict[str, float]:
    """Return the best value of each column: the highest measure, the shortest time."""
    found: dict[str, float] = {}
    for column in report.columns:
        values = [row[column] for row in report.strategies.values() if column in row]
        found[column] = min(values) if column.endswith("_ms") else max(values)
    return found


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bothways.evaluation.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {"figure": figure, "between": between, "signed": signed, "p_value": p_value}
    environment.globals.update(filters)
    return environment
