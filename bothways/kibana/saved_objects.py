"""Saved objects as Kibana exports and imports them: one JSON object a line, each named by its type and id.

The versions are those of the sample data that Kibana 9 itself brings, in this same form (lenses inside the dashboard):
older than 8.19, so that every Kibana from there on migrates them on import; a newer Kibana's would be refused by it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bothways.core.errors import UsageError

CORE_MIGRATION = "8.8.0"
TYPE_MIGRATIONS: Mapping[str, str] = {"index-pattern": "7.11.0", "search": "7.9.3", "dashboard": "8.7.0"}
"""The types we write, each with the version of its form."""
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


@dataclass(frozen=True, slots=True)
class Reference:
    """What one object needs of another: `name` is where it stands in the attributes."""

    name: str
    type: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedObject:
    """One object, by the names of Kibana's export."""

    type: str
    id: str
    attributes: Mapping[str, Any]
    references: Sequence[Reference] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as a line of an export has it."""
        return {
            "attributes": dict(self.attributes),
            "coreMigrationVersion": CORE_MIGRATION,
            "id": self.id,
            "managed": False,
            "references": [{"id": one.id, "name": one.name, "type": one.type} for one in self.references],
            "type": self.type,
            "typeMigrationVersion": TYPE_MIGRATIONS[self.type],
        }


def packed(value: object) -> str:
    """Write a value as the JSON that Kibana keeps in a string."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def to_ndjson(objects: Iterable[SavedObject]) -> str:
    """Write objects as a file that Kibana's import takes; raise `UsageError` where they cannot be what it expects."""
    lines = [one.as_dict() for one in objects]
    if wrong := list(problems(lines)):
        raise UsageError(f"These are no saved objects that Kibana would take: {'; '.join(wrong)}.")
    return "".join(f"{packed(line)}\n" for line in lines)


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
