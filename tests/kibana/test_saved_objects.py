"""The export is what Kibana's import expects: shape, versions, references, and the file that is kept beside it."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from bothways.kibana.dashboard import saved_objects
from bothways.kibana.saved_objects import to_ndjson
from tests.kibana.saved_objects_format import JSON_ATTRIBUTES, problems


@pytest.fixture
def lines():
    return [json.loads(line) for line in to_ndjson(saved_objects()).splitlines()]


def test_the_file_that_is_kept_is_the_export():
    kept = files("bothways.es_mappings").joinpath("kibana/bothways.ndjson").read_text(encoding="utf-8")
    assert kept == to_ndjson(saved_objects()), "run `bothways kibana --out es_mappings/kibana/bothways.ndjson`"


def test_what_is_exported(lines):
    assert [(line["type"], line["id"]) for line in lines] == [
        ("index-pattern", "bothways-chunks"),
        ("index-pattern", "bothways-feedback"),
        ("index-pattern", "bothways-jobs"),
        ("search", "bothways-failed-jobs"),
        ("dashboard", "bothways-dashboard"),
    ]
    assert {line["coreMigrationVersion"] for line in lines} == {"8.8.0"}
    titles = [line["attributes"]["title"] for line in lines]
    assert titles[:3] == ["bothways-*-v*", "bothways-feedback-*.*", "bothways-jobs"]


def test_attributes_that_kibana_keeps_as_text_are_text(lines):
    for line in lines:
        assert JSON_ATTRIBUTES[line["type"]]
        for path in JSON_ATTRIBUTES[line["type"]]:
            value = line["attributes"]
            for step in path.split("."):
                value = value[step]
            assert isinstance(value, str)
            assert isinstance(json.loads(value), dict | list)


def test_references_resolve_inside_the_dashboard_and_outside(lines):
    assert list(problems(lines)) == []
    dashboard = lines[-1]
    names = {reference["name"]: reference["id"] for reference in dashboard["references"]}
    panels = json.loads(dashboard["attributes"]["panelsJSON"])
    assert len(names) == len(panels)
    for panel in panels:
        inside = panel["embeddableConfig"].get("attributes", {}).get("references", [])
        for reference in inside:
            assert names[f"{panel['panelIndex']}:{reference['name']}"] == reference["id"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.append(x[0]), "index-pattern/bothways-chunks is there twice"),
        (lambda x: x[0].update(type="lens"), "lens/bothways-chunks: a type that is not known here"),
        (lambda x: x[0].update(typeMigrationVersion="99.0.0"), "typeMigrationVersion is not 7.11.0"),
        (lambda x: x[0].pop("coreMigrationVersion"), "coreMigrationVersion is not 8.8.0"),
        (lambda x: x[0]["attributes"].pop("title"), "no title"),
        (lambda x: x[3]["attributes"].update(kql="x"), "attributes that it does not have: kql"),
        (lambda x: x[0]["attributes"].update(fields=[]), "fields is not JSON in a string"),
        (lambda x: x.pop(2), "refers to index-pattern/bothways-jobs, which is not there"),
        (lambda x: x[3].update(references=[]), "its data view is no reference"),
        (lambda x: x[4]["references"].pop(0), "the panel 1 needs indexpattern-datasource-layer-layer"),
        (lambda x: x[4]["references"].append(x[4]["references"][0]), "layer-layer is there twice"),
    ],
)
def test_what_is_wrong_is_named(lines, change, message):
    change(lines)
    found = list(problems(lines))
    assert any(message in problem for problem in found), found
