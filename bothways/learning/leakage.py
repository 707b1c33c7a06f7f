"""Keep evaluation queries out of training data, also where they stand there in other spacing or wording."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal

from rapidfuzz import fuzz, process

NEAR = 85.0
"""Share of equal letters, in percent, from which a question is a near-copy (rapidfuzz's `ratio`, by Indel distance)."""


class LeakageFilter:
    """The queries of evaluation sets, which no model may be trained on. Only letters and digits are compared."""

    def __init__(self, texts: Iterable[str], *, near: float = NEAR) -> None:
        self._letters = list(dict.fromkeys(letters_of(text) for text in texts))
        self._exact = frozenset(self._letters)
        self._near = near

    def __len__(self) -> int:
        return len(self._letters)

    def match(self, text: str) -> Literal["same", "near"] | None:
        """Return `same` for an evaluation query, `near` for a near-copy of one, None for any other question."""
        letters = letters_of(text)
        if letters in self._exact:
            return "same"
        found = process.extractOne(letters, self._letters, scorer=fuzz.ratio, score_cutoff=self._near)
        return None if found is None else "near"


def letters_of(text: str) -> str:
    """Return a text without spaces, punctuation and differences in width and case."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())
