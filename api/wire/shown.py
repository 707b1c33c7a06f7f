"""What stands beside hits on the wire: neighbours and facets."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from bothways.core.results import Context, Facet


class NeighbourOut(BaseModel):
    """A chunk beside a hit."""

    chunk_id: str
    doc_id: str
    position: int
    title: str
    text: str


class ContextOut(BaseModel):
    """The chunks before and after a hit, in the order in which they are read."""

    before: list[NeighbourOut]
    after: list[NeighbourOut]


class FacetValue(BaseModel):
    """How many candidates have a value."""

    value: str
    count: int


class FacetOut(BaseModel):
    """Candidates by one field; `others` have values that are not named, `missing` have none."""

    values: list[FacetValue]
    others: int
    missing: int


def context_out(context: Context) -> dict[str, Any]:
    """Put neighbours into the wire's shape, as plain data."""
    return asdict(context)


def facet_out(facet: Facet) -> dict[str, Any]:
    """Put a facet into the wire's shape, as plain data."""
    values = [{"value": value, "count": count} for value, count in facet.values]
    return {"values": values, "others": facet.others, "missing": facet.missing}
