"""What a chunker makes of one document: pieces of its text, each with what the heading should say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bothways.core.datatypes import Document


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a document's text; `place` goes behind the document's heading, `metadata` beside its own."""

    text: str
    place: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


Cut = Callable[[Document], Iterable[Piece]]
"""A chunker: one document to its pieces, in order."""
