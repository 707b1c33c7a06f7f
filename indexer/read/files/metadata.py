"""From a record's own fields to metadata: names and values that Elasticsearch can hold and a filter can ask for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from bothways.core.text.valid import valid_text

MAX_NAME = 200
"""Characters of a field's name, as for the field of the access groups."""

MAX_FIELDS = 200
"""Fields of one record: a collection holds a thousand in all, and one record must not use them up."""

MAX_VALUES = 10_000
"""Values of one field. Each chunk of a document holds them all."""

_NOT_IN_NAMES = re.compile(r"[.\s*?,\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")
"""Dots are levels to Elasticsearch, `*`, `?` and `,` patterns; what cannot be seen, nobody could ask for."""


def to_metadata(
    fields: Mapping[str, object], left_out: Callable[[str], None] = lambda _: None
) -> dict[str, str | Sequence[str]]:
    """Make filterable strings of a record's fields; `left_out` is told what is more than can be held.

    Numbers, `true` and `false` are written as in JSON; a list of several scalars stays several values, each of which
    can be filtered by (and is a group of its own where the field holds access groups); an object one level down gives
    `outer_inner`; deeper ones, null and empty values are dropped. In a name, dots, white space, `*`, `?` and `,` become
    `_`, and leading `_` goes.
    """
    metadata: dict[str, str | Sequence[str]] = {}
    for name, item in _one_level(fields):
        texts = tuple(dict.fromkeys(valid_text(text) for text in _scalar_texts(item)))
        clean = _NOT_IN_NAMES.sub("_", name).strip("_")
        if not clean or not texts:
            continue
        clean = valid_text(clean)
        if len(clean) > MAX_NAME:
            left_out(f"A field whose name has more than {MAX_NAME} characters is left out: {clean[:40]!r}…")
        elif len(metadata) == MAX_FIELDS and clean not in metadata:
            left_out(f"More than {MAX_FIELDS} fields of one record are left out, as {clean[:40]!r}.")
        else:
            metadata[clean] = _held(clean, texts, left_out)
    return metadata


def _held(name: str, texts: tuple[str, ...], left_out: Callable[[str], None]) -> str | Sequence[str]:
    if len(texts) > MAX_VALUES:
        left_out(f"The field {name[:40]!r} has more than {MAX_VALUES:,} values: the others are left out.")
    kept = texts[:MAX_VALUES]
    return kept if len(kept) > 1 else kept[0]


def _one_level(fields: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}_{key}" if key else str(name), item) for key, item in value.items())
        else:
            yield str(name), value


def _scalar_texts(value: object) -> list[str]:
    items = [item for item in value if not isinstance(item, list)] if isinstance(value, list) else [value]
    return list(filter(None, map(scalar_text, items)))


def scalar_text(value: object) -> str:
    """Write a value of JSON as text; an object and null are ""."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return ", ".join(filter(None, (scalar_text(item) for item in value if not isinstance(item, list))))
    return "" if value is None or isinstance(value, Mapping) else str(value)
