"""Bounds of what every chunk of a document carries: a title of a megabyte would be indexed a thousand times."""

from __future__ import annotations

from dataclasses import replace

from bothways.core.datatypes import Document, Metadata
from bothways.indexer.read.files.folder import Source

MOST_TITLE = 1_000
"""Characters of a title or heading; no encoder reads more than some 500 of them."""
MOST_METADATA = 65_536
"""Characters of a document's metadata, which each of its chunks carries; Elasticsearch finds values of up to 8,191."""


def bounded(document: Document, source: Source) -> Document:
    """Return the document with its title and heading cut and its largest metadata left out, which is reported."""
    if max(len(document.title), len(document.heading)) > MOST_TITLE:
        source.on_skip(source.relative, f"Of a title of more than {MOST_TITLE:,} characters the first are indexed.")
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
