"""The same text in several documents is shown once, with the names of its copies.

Copies differ only in white space, punctuation, case and width. Texts that share most of their words are no copies: two
articles that differ in one number say different things.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from bothways.core.results import Copy, Hit

LONG = 40
"""Equal texts of so many characters are copies whatever their titles. Shorter ones ("本法自公布之日起施行") are copies
only under the same title."""

_FEW = 8
_SILENT = re.compile(r"""[、。“”‘’"'《》「」『』()…·]+|(?<!\d)[\s,.:;!?]+|[\s,.:;!?]+(?!\d)""")
"""Characters that do not matter. Between digits they do: 3.5 is not 35. Signs such as - and < always matter."""


def drop_copies(hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits without copies of earlier ones, which name their copies in `duplicates`; the order is kept."""
    begins = [_begin(hit.text) for hit in hits]
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


def _begin(text: str) -> str:
    """Return the first `_FEW` characters that matter; two texts of which these differ are no copies."""
    begin = _normalised(text[: 2 * _FEW])
    return (begin if len(begin) > _FEW else _normalised(text[: 6 * _FEW]))[:_FEW]


def _key(hit: Hit) -> tuple[str, str]:
    """Return the key that copies share; a text of punctuation alone has no copies."""
    text = _normalised(hit.text)
    if not text:
        return hit.chunk_id, ""
    return ("" if len(text) >= LONG else _normalised(hit.title)), text


def _normalised(text: str) -> str:
    return _SILENT.sub("", unicodedata.normalize("NFKC", text).casefold())
