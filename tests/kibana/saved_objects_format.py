"""The rules of Kibana's saved objects, to check our export by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bothways.kibana.saved_objects import CORE_MIGRATION, TYPE_MIGRATIONS

ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "index-pattern": frozenset(
        [
            "title",
            "name",
            "timeFieldName",
            "fields",
            "fieldAttrs",
            "fieldFormatMap",
            "runtimeFieldMap",
            "sourceFilters",
            "type",
            "typeMeta",
            "allowNoIndex",
            "allowHidden",
        ]
    ),
    "search": frozenset(["title", "description", "columns", "sort", "hits", "kibanaSavedObjectMeta", "version"]),
    "dashboard": frozenset(
        [
            "title",
            "description",
            "panelsJSON",
            "optionsJSON",
            "kibanaSavedObjectMeta",
            "refreshInterval",
            "timeRestore",
            "timeFrom",
            "timeTo",
            "version",
        ]
    ),
}
"""Attributes that these types may have: Kibana refuses others."""
JSON_ATTRIBUTES: Mapping[str, Sequence[str]] = {
    "index-pattern": ("fields", "fieldAttrs", "fieldFormatMap", "runtimeFieldMap", "typeMeta", "sourceFilters"),
    "search": ("kibanaSavedObjectMeta.searchSourceJSON",),
    "dashboard": ("panelsJSON", "optionsJSON", "kibanaSavedObjectMeta.searchSourceJSON"),
}
"""Attributes that are JSON in a string."""


def problems(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Name what is wrong with the lines of an export, by the rules of the saved-objects format."""
    known = [(line.get("type"), line.get("id")) for line in lines]
    for key in sorted({f"{kind}/{name}" for kind, name in known if known.count((kind, name)) > 1}):
        yield f"{key} is there twice"
    for line in lines:
        here = f"{line.get('type')}/{line.get('id')}"
        for problem in (*_of_shape(line), *_of_json(line), *_of_references(line, set(known))):
            yield f"{here}: {problem}"


def _of_shape(line: Mapping[str, Any]) -> Iterator[str]:
    kind, attributes = str(line.get("type")), line.get("attributes")
    if kind not in TYPE_MIGRATIONS:
        yield "a type that is not known here"
    elif line.get("typeMigrationVersion") != TYPE_MIGRATIONS[kind]:
        yield f"typeMigrationVersion is not {TYPE_MIGRATIONS[kind]}"
    if line.get("coreMigrationVersion") != CORE_MIGRATION:
        yield f"coreMigrationVersion is not {CORE_MIGRATION}"
    if not isinstance(line.get("id"), str) or not line["id"]:
        yield "no id"
    if not isinstance(attributes, dict) or not attributes.get("title"):
        yield "no title"
    elif unknown := attributes.keys() - ATTRIBUTES.get(kind, attributes.keys()):
        yield f"attributes that it does not have: {', '.join(sorted(unknown))}"
    if not isinstance(line.get("references"), list):
        yield "references are no list"


def _of_json(line: Mapping[str, Any]) -> Iterator[str]:
    for path in JSON_ATTRIBUTES.get(str(line.get("type")), ()):
        value: Any = line.get("attributes")
        for step in path.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        if value is None:
            continue
        try:
            json.loads(value)
        except (TypeError, ValueError):
            yield f"{path} is not JSON in a string"


def _of_references(line: Mapping[str, Any], known: set[tuple[Any, Any]]) -> Iterator[str]:
    references = line.get("references") or []
    names = [reference["name"] for reference in references]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"the reference {name} is there twice"
    for reference in references:
        if (reference["type"], reference["id"]) not in known:
            yield f"{reference['name']} refers to {reference['type']}/{reference['id']}, which is not there"
    if line.get("type") == "dashboard":
        yield from _of_panels(line, set(names))
    if line.get("type") == "search":
        meta = json.loads(line["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
        if meta.get("indexRefName") not in names:
            yield "its data view is no reference"


def _of_panels(line: Mapping[str, Any], names: set[str]) -> Iterator[str]:
    panels = json.loads(line["attributes"]["panelsJSON"])
    indexes = [panel["panelIndex"] for panel in panels]
    for index in sorted({index for index in indexes if indexes.count(index) > 1}):
        yield f"the panel {index} is there twice"
    for panel in panels:
        if panel["gridData"]["i"] != panel["panelIndex"]:
            yield f"the panel {panel['panelIndex']} has another place's name"
        wanted = [one["name"] for one in panel["embeddableConfig"].get("attributes", {}).get("references", [])]
        if "panelRefName" in panel:
            wanted.append(panel["panelRefName"])
        for name in wanted:
            if f"{panel['panelIndex']}:{name}" not in names:
                yield f"the panel {panel['panelIndex']} needs {name}, which is no reference"
