"""Ids of documents without one of their own: made of the file and the place in it, which can be found again."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

MOST_PAGES = 5000
"""Highest page and record that `find_place` looks for; beyond, a document has no known neighbours."""

_MOST_SHEETS, _MOST_GROUPS = 20, 250
_OURS = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document stands in its file: a page (from 1), a record (from 0), both (a sheet and its rows)."""

    page: int | None = None
    record: int | None = None

    def moved(self, by: int) -> Place | None:
        """Return the place `by` records (or, without records, pages) further on; None before the first."""
        if self.record is not None:
            return Place(self.page, self.record + by) if self.record + by >= 0 else None
        if self.page is not None and self.page + by >= 1:
            return Place(self.page + by)
        return None


def document_id(relative: str, page: int | None = None, record: int | None = None) -> str:
    """Make the id of a document: the SHA-1 (hex) of its file's relative POSIX path, its page and its record index.

    Pages count from 1, records from 0. The path is NFC-normalised first: macOS stores names decomposed.
    """
    key = json.dumps([unicodedata.normalize("NFC", relative), page, record], ensure_ascii=False)
    return hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest()


@lru_cache(maxsize=4096)
def find_place(doc_id: str, relative: str) -> Place | None:
    """Return the place in the file `relative` that an id was made of; None for an id of another origin.

    The index does not hold places. So ids are made of one place after the other until this one comes out: under a
    millisecond for an article of a code, some 10 ms at most where none fits.
    """
    if not _OURS.fullmatch(doc_id) or doc_id == document_id(relative):
        return None
    wanted = bytes.fromhex(doc_id)
    opening = json.dumps([unicodedata.normalize("NFC", relative)], ensure_ascii=False)[:-1]
    start = hashlib.sha1(opening.encode(), usedforsecurity=False)
    for ending, page, record in _endings():
        made = start.copy()
        made.update(ending)
        if made.digest() == wanted:
            return Place(page, record)
    return None


@lru_cache(maxsize=1)
def _endings() -> list[tuple[bytes, int | None, int | None]]:
    """Return each place that is looked for, and before it what follows the file's name in the key of its id."""
    return [
        *((b", null, %d]" % record, None, record) for record in range(MOST_PAGES)),
        *((b", %d, null]" % page, page, None) for page in range(1, MOST_PAGES + 1)),
        *(
            (b", %d, %d]" % (page, record), page, record)
            for page in range(1, _MOST_SHEETS + 1)
            for record in range(_MOST_GROUPS)
        ),
    ]
