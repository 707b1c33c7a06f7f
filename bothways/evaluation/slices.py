"""Groups of queries: by a label of theirs (`tag`), or by their length."""

from __future__ import annotations

import re

from bothways.core.text.han import HAN
from bothways.evaluation.judged.queries import JudgedQuery

LENGTH = "length"
"""The slice that every query has."""
_EDGES = (10, 20, 30, 50)
_UNIT = re.compile(rf"[{HAN}]|[^\W{HAN}]+")


def length_of(text: str) -> int:
    """Return the number of Chinese characters and of words in other scripts."""
    return len(_UNIT.findall(text))


def label_of(query: JudgedQuery, field: str) -> str:
    """Return the group that a query belongs to; "–" where it has no such field."""
    if field == LENGTH:
        return length_group(query.text)
    return query.labels.get(field, "–")


def length_group(text: str) -> str:
    """Return the group of lengths that a text belongs to."""
    length, low = length_of(text), 1
    for edge in _EDGES:
        if length <= edge:
            return f"{low}–{edge}"
        low = edge + 1
    return f"{low}+"


def in_order(labels: list[str]) -> list[str]:
    """Sort groups: those that begin with a number by it, the others by name."""

    def key(label: str) -> tuple[int, int, str]:
        number = re.match(r"\d+", label)
        return (0, int(number.group()), label) if number else (1, 0, label)

    return sorted(labels, key=key)
