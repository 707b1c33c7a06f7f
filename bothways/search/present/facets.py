"""Facets: how the candidates of a query divide by a field.

They count the hits on the query's pages, not all matches: nearly every chunk shares a pair of characters with a
question, and every chunk has a vector (docs/decisions/pages-facets-highlights.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bothways.core.errors import UnknownFieldError
from bothways.core.results import Facet, FacetValue, Hit

_PLAIN = ("doc_id", "source")


def check_fields(fields: Sequence[str], *, known: Iterable[str]) -> None:
    """Raise `UnknownFieldError` for a field that the collection does not have."""
    there = set(known)
    for field in fields:
        if field.removeprefix("metadata.") not in there and field not in _PLAIN:
            named = ", ".join(sorted(there.union(_PLAIN)))
            raise UnknownFieldError(f"There is no field {field[:80]!r} to count by; this collection has: {named}.")


def facets(every: Sequence[Hit], fields: Sequence[str], *, known: Iterable[str], size: int) -> dict[str, Facet]:
    """Return the counts of each field: at most `size` values, the most frequent first, equal ones by their text.

    A field is one of the collection's metadata (with or without `metadata.` in front), `source` or `doc_id`. A
    candidate with several values counts for each.
    """
    there = set(known)
    return {field: _facet([_values(hit, field, there) for hit in every], size) for field in fields}


def _values(hit: Hit, field: str, known: set[str]) -> tuple[str, ...]:
    if field in _PLAIN and field not in known:
        return (hit.doc_id if field == "doc_id" else hit.source,)
    value: object = hit.metadata.get(field.removeprefix("metadata."))
    if isinstance(value, list | tuple):
        return tuple(dict.fromkeys(map(str, value)))
    return () if value is None else (str(value),)


def _facet(rows: Sequence[tuple[str, ...]], size: int) -> Facet:
    counts = Counter(value for values in rows for value in values)
    ordered = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return Facet(
        values=tuple(FacetValue(*row) for row in ordered[:size]),
        others=sum(count for _, count in ordered[size:]),
        missing=sum(not values for values in rows),
    )
