"""The same text under two documents is shown once; the copies are named beside the hit that is shown.

Only what differs in nothing but white space, punctuation, case and width is a copy. Texts that share most of their
words are none: two articles that differ in one number say different things.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from core.datatypes import Copy, Hit

LONG = 40
"""From so many characters on, equal texts are copies whatever their titles. Short ones ("本法自公布之日起施行") are so
only under the same title."""


def drop_copies(hits: Sequence[Hit]) -> list[Hit]:
    """Give the hits without those whose text an earlier one has, which names them in `duplicates`; order is kept."""
    first: dict[tuple[str, str], Hit] = {}
    copies: dict[str, list[Copy]] = {}
    for hit in hits:
        same = first.setdefault(_key(hit), hit)
        if same is not hit:
            copies.setdefault(same.chunk_id, []).append(Copy(hit.chunk_id, hit.doc_id, hit.title, hit.source))
    return [
        replace(hit, duplicates=tuple(copies[hit.chunk_id])) if hit.chunk_id in copies else hit
        for hit in first.values()
    ]


def _key(hit: Hit) -> tuple[str, str]:
    """Give what two copies have in common; a text without letters and digits is a copy of none."""
    said = _letters(hit.text)
    if not said:
        return hit.chunk_id, ""
    return ("" if len(said) >= LONG else _letters(hit.title)), said


def _letters(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())
