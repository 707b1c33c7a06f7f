"""Every field that a panel names is in the mapping, of a type that its aggregation takes; every id is there."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from bothways.kibana.columns import RECORDS, count, difference, share, unique_count
from bothways.kibana.dashboard import LIST_COLUMNS, WIDTH, saved_objects
from bothways.kibana.data_views import CHUNKS, DATA_VIEWS, FEEDBACK, JOBS
from bothways.kibana.panels import ROWS
from tests.kibana.kql import fields_of, to_query
from tests.kibana.lens_rows import layer_of

LENSES = [lens for _, row in ROWS for lens in row]
OBJECTS = {f"{one.type}/{one.id}": one.as_dict() for one in saved_objects()}
PANELS = json.loads(OBJECTS["dashboard/bothways-dashboard"]["attributes"]["panelsJSON"])
NUMBERS = {"integer", "long", "float", "double"}
TAKES = {
    "terms": {"keyword", "boolean", *NUMBERS},
    "unique_count": {"keyword", *NUMBERS},
    "date_histogram": {"date"},
    "percentile": NUMBERS,
    "average": NUMBERS,
    "sum": NUMBERS,
}


def field_of(view, path):
    """Find a field in a view's mapping as Elasticsearch would; None where it is not there."""
    if path == "_index":
        return {"type": "keyword"}
    body = json.loads(files("bothways.es_mappings").joinpath(view.mapping).read_text(encoding="utf-8"))
    node = body["mappings"]
    for step in path.split("."):
        node = {**node.get("fields", {}), **node.get("properties", {})}.get(step)
        if node is None or node.get("enabled") is False:
            return None
    return node


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: lens.title)
def test_fields_are_in_the_mapping_and_can_be_aggregated(lens):
    for column in layer_of(lens.attributes())["columns"].values():
        operation, path = column["operationType"], column.get("sourceField")
        if operation in {"formula", "math"}:
            continue
        if operation == "count":
            assert path == RECORDS
            continue
        field = field_of(lens.view, path)
        assert field is not None, path
        assert field["type"] in TAKES[operation], (operation, path, field["type"])


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: lens.title)
def test_fields_of_filters_are_indexed(lens):
    columns = layer_of(lens.attributes())["columns"].values()
    for kql in [lens.kql, *(column["filter"]["query"] for column in columns if "filter" in column)]:
        for path in fields_of(kql):
            field = field_of(lens.view, path)
            assert field is not None, path
            assert field.get("index", True), path


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: lens.title)
def test_whatever_is_drawn_ordered_or_calculated_is_a_column(lens):
    attributes = lens.attributes()
    layer = layer_of(attributes)
    columns, drawn = layer["columns"], attributes["state"]["visualization"]
    assert layer["columnOrder"] == list(columns)
    used = [drawn[key] for key in ("metricAccessor",) if key in drawn]
    used += [one["columnId"] for one in drawn.get("columns", ())]
    used += [drawn["sorting"]["columnId"]] if "sorting" in drawn else []
    for part in drawn.get("layers", ()):
        used += [*part["accessors"], part["xAccessor"], *([part["splitAccessor"]] if "splitAccessor" in part else [])]
        assert columns[part["xAccessor"]]["isBucketed"]
    for column in columns.values():
        used += column.get("references", [])
        order = column.get("params", {}).get("orderBy", {})
        if order.get("type") == "column":
            assert not columns[order["columnId"]]["isBucketed"]
            assert "references" not in columns[order["columnId"]], "Lens cannot rank by a formula"
            used.append(order["columnId"])
    assert used
    assert set(used) <= columns.keys()


@pytest.mark.parametrize("view", DATA_VIEWS, ids=lambda view: view.name)
def test_data_views_name_fields_that_are_there(view):
    for path in [*(view.labels or {}), *view.hidden]:
        assert field_of(view, path) is not None, path
    if view.time_field is not None:
        assert field_of(view, view.time_field)["type"] == "date"


def test_the_list_of_failed_jobs_has_columns_and_filters_that_are_there():
    listed = OBJECTS["search/bothways-failed-jobs"]["attributes"]
    assert listed["columns"] == list(LIST_COLUMNS)
    assert all(field_of(JOBS, path) is not None for path in LIST_COLUMNS)
    source = json.loads(listed["kibanaSavedObjectMeta"]["searchSourceJSON"])
    asked = fields_of(source["query"]["query"])
    assert asked == ["state", "state", "counts.failures"]
    assert all(field_of(JOBS, path)["type"] in {"keyword", "long"} for path in asked)


def test_a_field_that_is_not_there_would_be_seen():
    assert field_of(FEEDBACK, "query_attributes.timings_ms.nothing") is None
    assert field_of(FEEDBACK, "hits.score") is None  # stored, and not indexed
    assert field_of(CHUNKS, "questions.generation")["type"] == "keyword"
    assert field_of(JOBS, "error") == {"type": "text", "index": False}


def test_panels_fill_the_grid_and_do_not_overlap():
    cells = set()
    for panel in PANELS:
        at = panel["gridData"]
        assert at["x"] + at["w"] <= WIDTH
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells
        cells |= own
    assert len(cells) == WIDTH * max(at["gridData"]["y"] + at["gridData"]["h"] for at in PANELS)


def test_a_formula_has_the_layers_that_lens_keeps():
    taken = unique_count("taken", "", "query_id", kql='action_name : "click"')
    column = difference("d", "Without", count("all", "", kql='kind : "query"'), taken)
    assert [one.id for one in column.all] == ["dX0", "dX1", "dX2", "d"]
    text = "count(kql='kind : \"query\"') - unique_count(query_id, kql='action_name : \"click\"')"
    assert column.body["params"]["formula"] == text
    assert column.body["references"] == ["dX2"]
    tree = column.all[2].body["params"]["tinymathAst"]
    assert (tree["name"], tree["args"], tree["text"]) == ("subtract", ["dX0", "dX1"], text)
    assert share("s", "", taken, taken).body["params"]["format"]["id"] == "percent"


def test_kql():
    assert to_query('a : "x" or b : 1 and not c : *') == {
        "bool": {
            "should": [
                {"match_phrase": {"a": "x"}},
                {"bool": {"filter": [{"match": {"b": "1"}}, {"bool": {"must_not": [{"exists": {"field": "c"}}]}}]}},
            ],
            "minimum_should_match": 1,
        }
    }
    assert to_query("q:{ g : * }") == {
        "nested": {"path": "q", "query": {"exists": {"field": "q.g"}}, "score_mode": "none"}
    }
    assert fields_of("(a > 0) or q:{ g : * }") == ["a", "q.g"]
