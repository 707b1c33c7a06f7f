"""Lens columns: what Kibana asks Elasticsearch for, by the names that Lens keeps them under.

Metrics are of documents that match `kql`, where it is given. Every column has an id that is unique in its layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

RECORDS = "___records___"
"""What Lens counts when it counts documents."""

SHARE: Mapping[str, Any] = {"id": "percent", "params": {"decimals": 1}}
MILLISECONDS: Mapping[str, Any] = {"id": "number", "params": {"decimals": 0, "suffix": " ms"}}
TWO_DECIMALS: Mapping[str, Any] = {"id": "number", "params": {"decimals": 2}}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its id, and the rest as Lens has it. `parts` are the hidden columns that a formula is made of."""

    id: str
    body: Mapping[str, Any]
    parts: Sequence[Column] = field(default=())

    @property
    def all(self) -> list[Column]:
        """Itself, and before it what it is made of."""
        return [*self.parts, self]


def count(name: str, label: str, *, kql: str = "") -> Column:
    """Count documents."""
    return _metric(name, label, "count", RECORDS, kql, {"emptyAsNull": False})


def unique_count(name: str, label: str, of: str, *, kql: str = "") -> Column:
    """Count the different values of a field, about."""
    return _metric(name, label, "unique_count", of, kql, {"emptyAsNull": False})


def total(name: str, label: str, of: str, *, kql: str = "") -> Column:
    """Add up a number field."""
    return _metric(name, label, "sum", of, kql, {"emptyAsNull": False})


def average(name: str, label: str, of: str, *, kql: str = "") -> Column:
    """Average a number field over the documents that have it."""
    return _metric(name, label, "average", of, kql, {"emptyAsNull": True, "format": TWO_DECIMALS})


def percentile(name: str, label: str, of: str, percent: int, *, kql: str = "") -> Column:
    """Return a percentile of a number of milliseconds."""
    return _metric(name, label, "percentile", of, kql, {"percentile": percent, "format": MILLISECONDS})


def over_time(name: str, of: str) -> Column:
    """Divide by time, in steps that Kibana chooses by the time range."""
    params = {"dropPartials": False, "includeEmptyRows": True, "interval": "auto"}
    return Column(name, _body(of, "date", "date_histogram", of, "interval", is_bucketed=True, params=params))


def top(name: str, label: str, of: str, *, by: str, size: int) -> Column:
    """Divide by the values of a keyword, those with the most in column `by` first."""
    order = {"columnId": by, "type": "column"}
    return _terms(name, label, of, "string", size, order, "desc")


def by_number(name: str, label: str, of: str, *, size: int) -> Column:
    """Divide by the values of a whole number, the lowest first."""
    return _terms(name, label, of, "number", size, {"fallback": False, "type": "alphabetical"}, "asc")


def difference(name: str, label: str, a: Column, b: Column) -> Column:
    """Take one metric from another."""
    return _formula(name, label, "subtract", "{} - {}", [a, b], {"id": "number", "params": {"decimals": 0}})


def share(name: str, label: str, part: Column, whole: Column) -> Column:
    """Divide one metric by another, as a percentage."""
    return _formula(name, label, "divide", "{} / {}", [part, whole], SHARE)


def _metric(name: str, label: str, operation: str, of: str, kql: str, params: Mapping[str, Any]) -> Column:
    body = _body(label, "number", operation, of, "ratio", is_bucketed=False, params=params)
    if kql:
        body["filter"] = {"language": "kuery", "query": kql}
    return Column(name, body)


def _terms(
    name: str, label: str, of: str, data_type: str, size: int, order: Mapping[str, Any], direction: str
) -> Column:
    params = {
        "missingBucket": False,
        "orderBy": order,
        "orderDirection": direction,
        "otherBucket": False,
        "parentFormat": {"id": "terms"},
        "size": size,
    }
    return Column(name, _body(label, data_type, "terms", of, "ordinal", is_bucketed=True, params=params))


def _body(
    label: str, data_type: str, operation: str, of: str, scale: str, *, is_bucketed: bool, params: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "customLabel": True,
        "dataType": data_type,
        "isBucketed": is_bucketed,
        "label": label,
        "operationType": operation,
        "params": dict(params),
        "scale": scale,
        "sourceField": of,
    }


def _formula(
    name: str, label: str, function: str, shape: str, metrics: Sequence[Column], number: Mapping[str, Any]
) -> Column:
    """Build the three layers of a formula as Lens keeps them: the metrics, the tree of the sum, and the formula."""
    parts = [Column(f"{name}X{n}", {**metric.body, "label": f"Part of {label}"}) for n, metric in enumerate(metrics)]
    text = shape.format(*(_written(metric) for metric in metrics))
    inner = f"{name}X{len(parts)}"
    tree = {
        "args": [part.id for part in parts],
        "location": {"max": len(text), "min": 0},
        "name": function,
        "text": text,
        "type": "function",
    }
    common = {"customLabel": True, "dataType": "number", "isBucketed": False, "scale": "ratio"}
    tree_column = {
        **common,
        "label": f"Part of {label}",
        "operationType": "math",
        "params": {"tinymathAst": tree},
        "references": [part.id for part in parts],
    }
    formula = {
        **common,
        "label": label,
        "operationType": "formula",
        "params": {"format": number, "formula": text, "isFormulaBroken": False},
        "references": [inner],
    }
    return Column(name, formula, [*parts, Column(inner, tree_column)])


def _written(metric: Column) -> str:
    """Write a metric as the formula editor does; a KQL of ours has no apostrophe."""
    body = metric.body
    of = "" if body["sourceField"] == RECORDS else body["sourceField"]
    kql = f"kql='{body['filter']['query']}'" if "filter" in body else ""
    return f"{body['operationType']}({', '.join(filter(None, (of, kql)))})"
