"""The same text under two documents is shown once; the copies are named beside the hit that is shown.

Only what differs in nothing but white space, punctuation, case and width is a copy. Texts that share most of their
words are none: two articles that differ in one number say different things.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from bothways.core.results import Copy, Hit

LONG = 40
"""From so many characters on, equal texts are copies whatever their titles. Short ones ("本法自公布之日起施行") are so
only under the same title."""


_BEGIN, _FEW = 48, 8
_SILENT = re.compile(r"""[、。“”‘’"'《》「」『』()…·]+|(?<!\d)[\s,.:;!?]+|[\s,.:;!?]+(?!\d)""")
"""What says nothing. Between digits it does: 3.5 is not 35. Signs such as - and < are never left out."""


def drop_copies(hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits without those whose text an earlier one has, which names them in `duplicates`; order is kept."""
    begins = [_said(hit.text[:_BEGIN])[:_FEW] for hit in hits]
    often = Counter(begins)
    first: dict[tuple[str, str], Hit] = {}
    copies: dict[str, list[Copy]] = {}
    for hit, begin in zip(hits, begins, strict=True):
        # Whole texts are compared only where they begin alike: all sixty of a search would take a millisecond.
        same = first.setdefault(_key(hit) if often[begin] > 1 else (hit.chunk_id, ""), hit)
        if same is not hit:
            copies.setdefault(same.chunk_id, []).append(
                Copy(chunk_id=hit.chunk_id, doc_id=hit.doc_id, title=hit.title, source=hit.source)
            )
    return [
        replace(hit, duplicates=tuple(copies[hit.chunk_id])) if hit.chunk_id in copies else hit
        for hit in first.values()
    ]


def _key(hit: Hit) -> tuple[str, str]:
    """Return what two copies have in common; a text that says nothing is a copy of none."""
    said = _said(hit.text)
    if not said:
        return hit.chunk_id, ""
    return ("" if len(said) >= LONG else _said(hit.title)), said


def _said(text: str) -> str:
    return _SILENT.sub("", unicodedata.normalize("NFKC", text).casefold())
