"""Names and numbers in a question, and which of them belong together: 民法典第五百九十条, section 12 of the book."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from bothways.core.text.numerals import NUMERALS, parse_number
from bothways.search.query.self_query.vocabulary import Key, Numbered, latin_key

MAX_SPAN = 100
"""Longest range of numbers (第10条至第20条) that is taken as one."""

_N = rf"(?<![.\d{NUMERALS}])[{NUMERALS}\d]{{1,16}}+"
"""A whole number: possessive, and only from its first digit on, so that a page of digits costs no time."""

_LIST = r"\s*(?:[、,]|和|与|及|或|以及)\s*"
_TO = r"\s*(?:[-~—–至到])\s*"
_DECIMAL = r"\d+(?:\.\d+)*"
_LATIN_N = rf"(?:{_DECIMAL}|[ivxlc]+)"
_LATIN_LIST = r"\s*(?:,\s*(?:and|or)\b|,|&|\band\b|\bor\b)\s*"
_LATIN_TO = r"\s*(?:[-~—–]|\bto\b|\bthrough\b)\s*"

BELOW = re.compile(rf"\s*(?:第?\s*\(?{_N}\)?\s*[款项目])+")
"""Parts of an article (第二款第（三）项), which are no metadata, but belong to the citation."""

_AFTER_NAME = re.compile(r"[\s》」』\"'”’\])]*(?:\([^()]{0,20}\))?[\s,:]*(?:的|中的?|里的?|规定的|'s\b)?\s*")
BETWEEN_NUMBERS = re.compile(r"[\s,、;]*(?:和|与|及|以及|或|至|到|and|or|&)?\s*")
_OF_NAME = re.compile(r"[\s,]*(?:of|in|from|under)\s+(?:the\s+|our\s+)?[\"'“《]*")
_INTRODUCED = re.compile(
    r"(?:^|[^\w]|根据|依据|依照|按照|遵照|参照|结合|违反|适用|触犯|查询|查找|查看|搜索|请问|查|看|问|是|在|和|与|及|或|对|按|依|照|据"
    r"|我国|中国|国家|现行|新|旧|的|把|由|从|关于|解释|说明|了解|解读|什么)$"
)
"""What may stand before a name: 劳动合同法 is not 合同法, 根据合同法 is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A name or numbers at a place in the question. `values` are the metadata values that they mean, by field."""

    start: int
    end: int
    values: Mapping[str, tuple[str, ...]]
    is_name: bool
    is_explicit: bool = True


@dataclass(frozen=True, slots=True)
class Citation:
    """A name with its numbers, numbers without a name, or a name alone."""

    name: Item | None
    numbers: tuple[Item, ...] = ()
    is_certain: bool = False

    @property
    def items(self) -> tuple[Item, ...]:
        """The name, if there is one, and the numbers."""
        return (*([self.name] if self.name else []), *self.numbers)

    def clause(self) -> dict[str, Any]:
        """Return the clause for chunks that match the name, and one of the numbers in each numbered field."""
        alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for item in self.items:
            alike.setdefault(tuple(item.values), []).extend(_terms(*values) for values in item.values.items())
        clauses = [any_of(several) for several in alike.values()]
        return clauses[0] if len(clauses) == 1 else {"bool": {"filter": clauses}}


def numbers_in(text: str, fields: Sequence[Numbered]) -> list[Item]:
    """Return the numbers of the numbered fields in a normalised text, from the left."""
    if not fields:
        return []
    found: dict[tuple[int, int], Item] = {}
    cues = frozenset[str]().union(*(each.cues for each in fields))
    latin = frozenset(cue for cue in cues if cue.isascii() or cue == "§")
    roman = any(each.roman for each in fields)
    patterns = ((_zh_pattern(cues - latin), _zh_keys), (_latin_pattern(latin, roman=roman), _latin_keys))
    for pattern, read in patterns:
        for match in pattern.finditer(text) if pattern else ():
            keys = read(match)
            if keys is None:
                continue
            cue = match["cue"]
            values: dict[str, tuple[str, ...]] = {}
            for each in fields:
                if cue in each.cues:
                    values[each.field] = values.get(each.field, ()) + _values(each, keys)
            explicit = cue.isascii() or match["first"] is not None
            known = {name: several for name, several in values.items() if several}
            if known or explicit:
                item = Item(
                    start=match.start(), end=match.end(), values=known or values, is_name=False, is_explicit=explicit
                )
                found[match.start(), match.end()] = item
    return [found[place] for place in sorted(found)]


def cite(text: str, names: Sequence[Item], numbers: Sequence[Item]) -> list[Citation]:
    """Join numbers with the name before them (民法典第五百九十条) or behind them (section 12 of the handbook)."""
    citations: list[Citation] = []
    end = 0
    for item in sorted([*names, *numbers], key=lambda item: item.start):
        gap = text[end : item.start]
        last = citations[-1] if citations else None
        if item.is_name:
            if last and not last.name and _OF_NAME.fullmatch(gap):
                citations[-1] = replace(last, name=item, is_certain=True)
            else:
                citations.append(Citation(item))
        elif last and (BETWEEN_NUMBERS if last.numbers else _AFTER_NAME).fullmatch(gap):
            is_certain = last.is_certain or _is_introduced(text, last.name, citations)
            citations[-1] = replace(last, numbers=(*last.numbers, item), is_certain=is_certain)
        else:
            citations.append(Citation(None, (item,)))
        below = BELOW.match(text, item.end)
        end = below.end() if below else item.end
    return citations


def _is_introduced(text: str, name: Item | None, citations: Sequence[Citation]) -> bool:
    if name is None:
        return False
    if len(citations) > 1 and BETWEEN_NUMBERS.fullmatch(text[max(i.end for i in citations[-2].items) : name.start]):
        return True
    return _INTRODUCED.search(text[: name.start]) is not None


def _terms(name: str, values: Sequence[str]) -> dict[str, Any]:
    return {"terms": {f"metadata.{name}": list(dict.fromkeys(values))}}


def any_of(clauses: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the clause that matches where at least one of these does."""
    return clauses[0] if len(clauses) == 1 else {"bool": {"should": clauses, "minimum_should_match": 1}}


Span = tuple[int, int]


def _values(numbered: Numbered, keys: Sequence[Key] | Span) -> tuple[str, ...]:
    if isinstance(keys, tuple):
        return numbered.between(*keys)
    return tuple(value for key in keys for value in numbered.values.get(key, ()))


def _zh_keys(match: re.Match[str]) -> Sequence[Key] | Span | None:
    """Read 第五百九十条, 第一百二十条之一, 第590、591条, 第10条至第20条."""
    text = match[0][: match.start("cue") - match.start()]
    numbers = [parse_number(each) for each in re.findall(_N, text)]
    below = parse_number(match["below"]) if match["below"] else None
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers) or (match["below"] and below is None):
        return None
    if match["to"] and 0 < known[1] - known[0] <= MAX_SPAN:
        return known[0], known[1]
    keys: list[Key] = [(number,) for number in known]
    if below is not None:
        keys[-1] = (known[-1], below)
    return keys


def _latin_keys(match: re.Match[str]) -> Sequence[Key] | Span | None:
    """Read section 12, Art. 12.3, §§ 4, 5 and 7, articles 10 to 20, Article IV."""
    several = [match["first"], *re.findall(_LATIN_N, match["more"] or ""), *([match["last"]] if match["last"] else [])]
    keys = [latin_key(each) for each in several]
    known = [key for key in keys if key is not None]
    if len(known) < len(keys):
        return None
    if match["last"] and 0 < known[1][0] - known[0][0] <= MAX_SPAN:
        return known[0][0], known[1][0]
    return known


@lru_cache(maxsize=64)
def _zh_pattern(cues: frozenset[str]) -> re.Pattern[str] | None:
    if not cues:
        return None
    units = "|".join(re.escape(cue) for cue in sorted(cues, key=len, reverse=True))
    return re.compile(
        rf"(?P<first>第)?\s*{_N}(?:(?P<to>\s*(?:{units})?{_TO})(?:第\s*)?{_N}"
        rf"|(?:\s*(?:{units})?{_LIST}(?:第\s*)?{_N})*)\s*(?P<cue>{units})(?:之(?P<below>{_N}))?"
    )


@lru_cache(maxsize=64)
def _latin_pattern(cues: frozenset[str], *, roman: bool) -> re.Pattern[str] | None:
    if not cues:
        return None
    words = "|".join(re.escape(cue) for cue in sorted(cues, key=len, reverse=True))
    number = _LATIN_N if roman else _DECIMAL
    return re.compile(
        rf"(?<![^\W\d_])(?P<cue>{words})[s§]?\.?\s*(?P<first>{number})(?:{_LATIN_TO}(?P<last>{number})"
        rf"|(?P<more>(?:{_LATIN_LIST}{number})*))(?!\w)"
    )
