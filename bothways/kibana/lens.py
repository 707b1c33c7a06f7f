"""Lens panels: the columns of one layer, and how they are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bothways.kibana.columns import Column
from bothways.kibana.data_views import DataView

LAYER = "layer"
Series = Literal["bar", "bar_stacked", "line"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """One panel over a data view. `kql` is of the whole panel; `visualization` draws the `columns`, by their ids."""

    title: str
    description: str
    view: DataView
    columns: Sequence[Column]
    kind: Literal["lnsMetric", "lnsXY", "lnsDatatable"]
    visualization: Mapping[str, Any]
    kql: str = ""

    def attributes(self) -> dict[str, Any]:
        """Return the panel as a dashboard contains it, by value."""
        columns = [one for column in self.columns for one in column.all]
        layer = {
            "columnOrder": [column.id for column in columns],
            "columns": {column.id: dict(column.body) for column in columns},
            "incompleteColumns": {},
        }
        return {
            "description": self.description,
            "references": [
                {"id": self.view.id, "name": f"indexpattern-datasource-layer-{LAYER}", "type": "index-pattern"}
            ],
            "state": {
                "adHocDataViews": {},
                "datasourceStates": {"formBased": {"layers": {LAYER: layer}}, "textBased": {"layers": {}}},
                "filters": [],
                "internalReferences": [],
                "query": {"language": "kuery", "query": self.kql},
                "visualization": dict(self.visualization),
            },
            "title": self.title,
            "type": "lens",
            "visualizationType": self.kind,
        }


def metric(title: str, description: str, view: DataView, column: Column, *, kql: str = "") -> Lens:
    """Show one number."""
    drawn = {"layerId": LAYER, "layerType": "data", "metricAccessor": column.id}
    return Lens(
        title=title,
        description=description,
        view=view,
        columns=[column],
        kind="lnsMetric",
        visualization=drawn,
        kql=kql,
    )


def chart(
    title: str,
    description: str,
    view: DataView,
    x: Column,
    metrics: Sequence[Column],
    *,
    series: Series,
    split: Column | None = None,
    kql: str = "",
) -> Lens:
    """Draw metrics over `x`, each in as many parts as `split` has values."""
    shown = {"x": True, "yLeft": True, "yRight": True}
    layer = {
        "accessors": [one.id for one in metrics],
        "layerId": LAYER,
        "layerType": "data",
        "position": "top",
        "seriesType": series,
        "showGridlines": False,
        "xAccessor": x.id,
        **({} if split is None else {"splitAccessor": split.id}),
    }
    drawn = {
        "axisTitlesVisibilitySettings": {"x": True, "yLeft": False, "yRight": True},
        "fittingFunction": "None",
        "gridlinesVisibilitySettings": shown,
        "layers": [layer],
        "legend": {"isVisible": True, "position": "right"},
        "preferredSeriesType": series,
        "tickLabelsVisibilitySettings": shown,
        "valueLabels": "hide",
    }
    buckets = [x] if split is None else [split, x]
    return Lens(
        title=title,
        description=description,
        view=view,
        columns=[*buckets, *metrics],
        kind="lnsXY",
        visualization=drawn,
        kql=kql,
    )


def table(
    title: str,
    description: str,
    view: DataView,
    rows: Column,
    metrics: Sequence[Column],
    *,
    sort: Column,
    kql: str = "",
) -> Lens:
    """Show a row for each value of `rows`, those with the most in column `sort` first."""
    drawn = {
        "columns": [{"columnId": column.id} for column in (rows, *metrics)],
        "layerId": LAYER,
        "layerType": "data",
        "sorting": {"columnId": sort.id, "direction": "desc"},
    }
    return Lens(
        title=title,
        description=description,
        view=view,
        columns=[rows, *metrics],
        kind="lnsDatatable",
        visualization=drawn,
        kql=kql,
    )
