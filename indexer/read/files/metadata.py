"""What each chunk of a document carries: metadata that Elasticsearch can hold and a filter can ask for, and bounds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from bothways.core.datatypes import Document, Metadata
from bothways.core.text.valid import valid_text
from bothways.indexer.read.files.folder import Source

MAX_NAME = 200
"""Characters of a field's name, as for the field of the access groups."""

MAX_FIELDS = 200
"""Fields of one record: a collection holds a thousand in all, and one record must not use them up."""

MAX_VALUES = 10_000
"""Values of one field. Each chunk of a document holds them all."""

MOST_TITLE = 1_000
"""Characters of a title or heading; no encoder reads more than some 500 of them."""
MOST_METADATA = 65_536
"""Characters of a document's metadata, which each of its chunks carries; Elasticsearch finds values of up to 8,191."""

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
            left_out(
                f"A record has more than {MAX_FIELDS} fields: the others are left out, for example {clean[:40]!r}."
            )
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


def bounded(document: Document, source: Source) -> Document:
    """Return the document with its title and heading cut and its largest metadata left out, which is reported."""
    if max(len(document.title), len(document.heading)) > MOST_TITLE:
        source.on_skip(
            source.relative,
            f"A title has more than {MOST_TITLE:,} characters: only the first {MOST_TITLE:,} are indexed.",
        )
        document = replace(document, title=document.title[:MOST_TITLE], heading=document.heading[:MOST_TITLE])
    if sum(map(_size, document.metadata.values())) > MOST_METADATA:
        document = replace(document, metadata=_small(document.metadata, source))
    return document


def _small(metadata: Metadata, source: Source) -> Metadata:
    """Keep the smallest values that fit together, in their order."""
    kept, size = set(), 0
    for name in sorted(metadata, key=lambda name: _size(metadata[name])):
        size += _size(metadata[name])
        if size <= MOST_METADATA:
            kept.add(name)
    left_out = ", ".join(name[:80] for name in list(metadata)[:1_000] if name not in kept)[:200]
    source.on_skip(source.relative, f"Metadata of more than {MOST_METADATA:,} characters is left out: {left_out}.")
    return {name: value for name, value in metadata.items() if name in kept}


def _size(value: object) -> int:
    return len(value) if isinstance(value, str) else sum(map(len, value)) if isinstance(value, tuple | list) else 0
