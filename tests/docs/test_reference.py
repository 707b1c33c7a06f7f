"""The reference pages say what the code says, and a change of the API that would break its callers is named."""

from __future__ import annotations

import copy
import json
from typing import get_args

import pytest

from bothways.core.settings import SETTABLE
from bothways.schemas.names import Strategy
from docs._tools.__main__ import main
from docs._tools.pages import ROOT
from docs._tools.reference import OPENAPI, make_pages, out_of_date
from docs._tools.reference.breaking import breaking_changes
from docs._tools.reference.http import type_of


@pytest.fixture(scope="module")
def pages():
    return make_pages()


def test_the_committed_pages_are_current(pages):
    assert out_of_date(pages) == [], "run `make reference` and commit docs/reference"


def test_every_route_schema_and_field(pages):
    openapi = json.loads(pages["openapi.json"])
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            assert f"### `{method.upper()} {path}`" in pages["http.md"]
            assert f"| `{method.upper()} {path}` |" in pages["http.md"]
            for parameter in operation.get("parameters", ()):
                assert f"| `{parameter['name']}`" in pages["http.md"]
    for name, schema in openapi["components"]["schemas"].items():
        assert f"\n### {name}\n" in pages["http.md"]
        for field in schema.get("properties", {}):
            assert f"| `{field}`" in pages["http.md"]


@pytest.mark.parametrize("command", ["index", "search", "ask", "serve", "eval queries", "es up", "learn reranker"])
def test_commands_have_a_row_and_a_section(pages, command):
    assert f"| [`bothways {command}`]" in pages["cli.md"]
    assert f"\n## bothways {command}\n" in pages["cli.md"]


def test_an_option_with_choices_a_default_and_a_flag(pages):
    assert "| `--collection`, `-c` TEXT |" in pages["cli.md"]
    assert "| `--rewrite` none\\|query2doc\\|auto |" in pages["cli.md"]
    assert "| `--top-k` N |" in pages["cli.md"]
    assert "| `--explain` |" in pages["cli.md"]


def test_every_setting(pages):
    for name in SETTABLE:
        assert f"| `BOTHWAYS_{name.upper()}` |" in pages["settings.md"]


@pytest.mark.parametrize("strategy", get_args(Strategy))
def test_the_guide_tells_of_every_strategy(strategy):
    assert f"| `{strategy}`" in (ROOT / "docs" / "guide" / "search.md").read_text("utf-8")


def test_every_make_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test", "lint", "bench", "bench-scale", "serve", "docs", "reference", "clean"):
        assert f"\n{target}:" in makefile


@pytest.fixture
def api():
    """A small API: one route, with a parameter, a request and an answer."""
    fields = {"query": {"type": "string"}, "mode": {"enum": ["a", "b"], "type": "string"}}
    return {
        "paths": {
            "/search": {
                "post": {
                    "parameters": [{"name": "limit", "in": "query"}],
                    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}},
                    "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/x/schemas/Out"}}}}},
                }
            }
        },
        "components": {
            "schemas": {
                "In": {"properties": fields, "required": ["query"]},
                "Out": {"properties": {"hits": {"items": {"$ref": "#/x/schemas/Hit"}, "type": "array"}}},
                "Hit": {"properties": {"score": {"type": "number"}}, "required": ["score"]},
            }
        },
    }


def test_what_is_added_breaks_nobody(api):
    new = copy.deepcopy(api)
    new["paths"]["/more"] = {"get": {"responses": {}}}
    new["components"]["schemas"]["In"]["properties"] |= {"extra": {"type": "string"}}
    new["components"]["schemas"]["In"]["properties"]["mode"]["enum"].append("c")
    new["components"]["schemas"]["Hit"]["properties"]["why"] = {"type": "string"}
    new["components"]["schemas"]["Hit"]["properties"]["score"] = {"anyOf": [{"type": "number"}, {"type": "null"}]}
    assert breaking_changes(api, new) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda new: new["paths"].pop("/search"), "POST /search is gone"),
        (lambda new: new["paths"]["/search"]["post"].pop("parameters"), "POST /search: the parameter limit is gone"),
        (
            lambda new: new["paths"]["/search"]["post"]["parameters"].append(
                {"name": "key", "in": "header", "required": True}
            ),
            "POST /search: the parameter key is required now",
        ),
        (lambda new: new["components"]["schemas"]["In"]["required"].append("mode"), "In: mode is required now"),
        (
            lambda new: new["components"]["schemas"]["In"]["properties"]["mode"]["enum"].remove("b"),
            "In: mode no longer takes b",
        ),
        (lambda new: new["components"]["schemas"]["Hit"]["properties"].pop("score"), "Hit: score is gone"),
        (lambda new: new["components"]["schemas"]["Hit"].pop("required"), "Hit: score may be missing now"),
        (
            lambda new: new["components"]["schemas"]["Hit"]["properties"].update(score={"type": "string"}),
            "Hit: score is no longer number",
        ),
    ],
)
def test_what_breaks_callers_is_named(api, change, named):
    new = copy.deepcopy(api)
    change(new)
    assert breaking_changes(api, new) == [named]


def test_a_breaking_change_is_not_written_unasked(api, tmp_path, monkeypatch, capsys):
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(api), "utf-8")
    new = copy.deepcopy(api)
    new["paths"].pop("/search")
    monkeypatch.setattr("docs._tools.__main__.OPENAPI", file)
    monkeypatch.setattr("docs._tools.__main__.make_pages", lambda: {"openapi.json": json.dumps(new)})
    monkeypatch.setattr("docs._tools.reference.FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["docs", "reference"])
    assert main() == 1
    assert "POST /search is gone" in capsys.readouterr().err
    assert json.loads(file.read_text("utf-8")) == api
    monkeypatch.setattr("sys.argv", ["docs", "reference", "--accept-breaking"])
    assert main() == 0
    assert json.loads(file.read_text("utf-8")) == new


def test_the_committed_description_is_in_its_place():
    assert OPENAPI.is_file()


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/components/schemas/HitOut"}, "[HitOut](#hitout)"),
        ({"type": "array", "items": {"type": "string"}}, "list of string"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number or null"),
        ({"enum": ["a", "b"], "type": "string"}, "`a` or `b`"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "object of integer"),
        ({"const": "x"}, '`"x"`'),
        ({}, "anything"),
    ],
)
def test_types_in_words(schema, words):
    assert type_of(schema) == words
