"""Questions that a model is never trained on, since it is judged by them: found again in other spacing or wording.

Texts of evaluation queries go in; a question that is one of them, or nearly, is told.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal

from rapidfuzz import fuzz, process

NEAR = 85.0
"""Share of equal letters, in percent, from which a question is a near-copy (rapidfuzz's `ratio`, by Indel distance)."""


class KeptOut:
    """The questions of evaluation sets. A question is compared by its letters and digits alone."""

    def __init__(self, texts: Iterable[str], *, near: float = NEAR) -> None:
        self._letters = list(dict.fromkeys(letters_of(text) for text in texts))
        self._exact = frozenset(self._letters)
        self._near = near

    def __len__(self) -> int:
        return len(self._letters)

    def finds(self, text: str) -> Literal["same", "near"] | None:
        """Tell whether a question is one of those that are kept out (`same`), or a near-copy of one."""
        letters = letters_of(text)
        if letters in self._exact:
            return "same"
        found = process.extractOne(letters, self._letters, scorer=fuzz.ratio, score_cutoff=self._near)
        return None if found is None else "near"


def letters_of(text: str) -> str:
    """Strip a text of spaces, punctuation and differences in width and case."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())
