"""The numbers that Word counts by itself: "第三条", "2.1" and "(a)" stand nowhere in the text of a .docx file.

A contract is cited by them, so they are counted here as Word does: a list is one count for each level, a level starts
anew below the next higher one, and a list that says so begins again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bothways.core.text.numerals import chinese_number

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STEMS = "甲乙丙丁戊己庚辛壬癸"
_ROMAN = {"m": 1000, "cm": 900, "d": 500, "cd": 400, "c": 100, "xc": 90, "l": 50, "xl": 40}
_ROMAN |= {"x": 10, "ix": 9, "v": 5, "iv": 4, "i": 1}
_MAX_TEXT = 100
"""Characters of what stands around a number: each paragraph of the list has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    start: int
    form: str
    text: str
    decimal: bool


class Numbering:
    """Counts the paragraphs of one document, which have to come in order."""

    def __init__(self, root: Any | None) -> None:  # noqa: ANN401  (lxml has no types)
        """Take the root of `numbering.xml`; None for a document that has no lists."""
        self._levels: dict[str, dict[int, _Level]] = {}
        self._lists: dict[str, tuple[str, dict[int, int]]] = {}
        self._counts: dict[str, dict[int, int]] = {}
        self._begun: set[str] = set()
        if root is None:
            return
        for abstract in root.iterchildren(f"{W}abstractNum"):
            levels = dict(_levels(abstract))
            self._levels[abstract.get(f"{W}abstractNumId", "")] = levels
        for item in root.iterchildren(f"{W}num"):
            again = {
                _int(override, "ilvl"): _int(start, "val", 1)
                for override in item.iterchildren(f"{W}lvlOverride")
                for start in override.iterchildren(f"{W}startOverride")
            }
            self._lists[item.get(f"{W}numId", "")] = (_val(item, "abstractNumId"), again)

    def label(self, num_id: str, level: int) -> str:
        """Count one paragraph of a list and return what stands in front of it: "第三条", "2.1"; "-" for a bullet."""
        abstract, again = self._lists.get(num_id, ("", {}))
        levels = self._levels.get(abstract, {})
        if level not in levels:
            return ""
        counts = self._counts.setdefault(abstract, {})
        if num_id not in self._begun:
            self._begun.add(num_id)
            counts.update({place: start - 1 for place, start in again.items()})
        counts[level] = counts.get(level, levels[level].start - 1) + 1
        for deeper in [place for place in counts if place > level]:
            del counts[deeper]
        return _label(levels, counts, level)


def _label(levels: dict[int, _Level], counts: dict[int, int], level: int) -> str:
    own = levels[level]
    if own.form == "bullet":
        return "-"

    def number(match: re.Match[str]) -> str:
        place = int(match[1]) - 1
        named = levels.get(place, own)
        return _written(counts.get(place, named.start), "decimal" if own.decimal else named.form)

    return re.sub(r"%([1-9])", number, own.text).strip()


def _levels(abstract: Any) -> Iterator[tuple[int, _Level]]:  # noqa: ANN401
    for element in abstract.iterchildren(f"{W}lvl"):
        start = element.find(f"{W}start")
        yield (
            _int(element, "ilvl"),
            _Level(
                start=1 if start is None else _int(start, "val", 1),
                form=_val(element, "numFmt") or "decimal",
                text=_val(element, "lvlText")[:_MAX_TEXT],
                decimal=element.find(f"{W}isLgl") is not None,
            ),
        )


def _written(number: int, form: str) -> str:
    if form.startswith(("chinese", "japaneseCounting", "taiwaneseCounting", "ideographLegal")):
        return chinese_number(number)
    if form == "ideographTraditional" and number <= len(_STEMS):
        return _STEMS[number - 1]
    if form == "decimalEnclosedCircle" and 1 <= number <= 20:
        return chr(0x2460 + number - 1)
    if form in {"upperLetter", "lowerLetter"} and number >= 1:
        letters = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 % 100 + 1)
        return letters.upper() if form == "upperLetter" else letters
    if form in {"upperRoman", "lowerRoman"} and 1 <= number < 4000:
        return _roman(number).upper() if form == "upperRoman" else _roman(number)
    return "" if form == "none" else str(number)


def _roman(number: int) -> str:
    text = ""
    for letters, value in _ROMAN.items():
        text += letters * (number // value)
        number %= value
    return text


def _val(element: Any, name: str) -> str:  # noqa: ANN401
    child = element.find(f"{W}{name}")
    return "" if child is None else child.get(f"{W}val", "")


def _int(element: Any, name: str, default: int = 0) -> int:  # noqa: ANN401
    value = element.get(f"{W}{name}", "")
    return int(value) if value.isdecimal() and len(value) < 7 else default
