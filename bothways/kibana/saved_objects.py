"""Saved objects as Kibana exports and imports them: one JSON object a line, each named by its type and id.

The versions are those of the sample data that Kibana 9 itself brings, in this same form (lenses inside the dashboard):
older than 8.19, so that every Kibana from there on migrates them on import; a newer Kibana's would be refused by it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CORE_MIGRATION = "8.8.0"
TYPE_MIGRATIONS: Mapping[str, str] = {"index-pattern": "7.11.0", "search": "7.9.3", "dashboard": "8.7.0"}
"""The types we write, each with the version of its form."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that another one needs: `name` is its place in the attributes."""

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
        """Return the object as a line of an export."""
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
    """Return a value as the JSON that Kibana keeps in a string."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def to_ndjson(objects: Iterable[SavedObject]) -> str:
    """Return objects as a file for Kibana's import, one JSON object a line."""
    return "".join(f"{packed(one.as_dict())}\n" for one in objects)
