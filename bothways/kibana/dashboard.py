"""The saved objects that make the dashboard: data views, the list of failed jobs, and the dashboard itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bothways.kibana.data_views import DATA_VIEWS, JOBS
from bothways.kibana.lens import Lens
from bothways.kibana.panels import FAILED, ROWS
from bothways.kibana.saved_objects import Reference, SavedObject, packed

WIDTH = 48
"""Columns of Kibana's grid."""
PANEL_VERSION = "8.11.0"
FAILED_JOBS = "bothways-failed-jobs"
DASHBOARD = "bothways-dashboard"
LIST_COLUMNS = ("collection", "state", "error", "counts.failures", "source", "held")
_LIST_HEIGHT = 14
_SOURCE_REF = "kibanaSavedObjectMeta.searchSourceJSON.index"


def saved_objects() -> list[SavedObject]:
    """Return all objects, each behind those that it refers to."""
    return [*(view.saved() for view in DATA_VIEWS), _failed_jobs(), _dashboard()]


def _failed_jobs() -> SavedObject:
    """List jobs that did not succeed with their reasons: texts, which no aggregation could show."""
    kql = f"({FAILED}) or counts.failures > 0"
    source = {
        "filter": [],
        "highlightAll": False,
        "indexRefName": _SOURCE_REF,
        "query": {"language": "kuery", "query": kql},
        "version": True,
    }
    attributes = {
        "columns": list(LIST_COLUMNS),
        "description": "Indexing jobs that failed, were lost or had items that failed",
        "hits": 0,
        "kibanaSavedObjectMeta": {"searchSourceJSON": packed(source)},
        "sort": [[JOBS.time_field, "desc"]],
        "title": "Bothways: jobs with errors",
        "version": 1,
    }
    return SavedObject(
        type="search",
        id=FAILED_JOBS,
        attributes=attributes,
        references=[Reference(_SOURCE_REF, "index-pattern", JOBS.id)],
    )


def _dashboard() -> SavedObject:
    panels: list[dict[str, Any]] = []
    references: list[Reference] = []
    y = 0
    for height, row in ROWS:
        width = WIDTH // len(row)
        for place, lens in enumerate(row):
            index = f"{len(panels) + 1}"
            panels.append(_panel(index, place * width, y, width, height, "lens", _embedded(lens)))
            needed = lens.attributes()["references"]
            references += [Reference(f"{index}:{one['name']}", one["type"], one["id"]) for one in needed]
        y += height
    index = f"{len(panels) + 1}"
    listed = _panel(index, 0, y, WIDTH, _LIST_HEIGHT, "search", {"enhancements": {}})
    panels.append({**listed, "panelRefName": f"panel_{index}"})
    references.append(Reference(f"{index}:panel_{index}", "search", FAILED_JOBS))
    attributes = {
        "description": "What users ask and open, how long it takes, what the collections hold, and which jobs failed",
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": packed({"filter": [], "query": {"language": "kuery", "query": ""}})
        },
        "optionsJSON": packed(
            {
                "hidePanelTitles": False,
                "syncColors": False,
                "syncCursor": True,
                "syncTooltips": False,
                "useMargins": True,
            }
        ),
        "panelsJSON": packed(panels),
        "refreshInterval": {"pause": True, "value": 60_000},
        "timeFrom": "now-7d",
        "timeRestore": True,
        "timeTo": "now",
        "title": "Bothways",
        "version": 1,
    }
    return SavedObject(type="dashboard", id=DASHBOARD, attributes=attributes, references=references)


def _embedded(lens: Lens) -> dict[str, Any]:
    return {"attributes": lens.attributes(), "enhancements": {}, "hidePanelTitles": False}


def _panel(index: str, x: int, y: int, w: int, h: int, kind: str, embedded: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "embeddableConfig": dict(embedded),
        "gridData": {"h": h, "i": index, "w": w, "x": x, "y": y},
        "panelIndex": index,
        "type": kind,
        "version": PANEL_VERSION,
    }
