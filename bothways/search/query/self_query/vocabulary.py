"""The names and numbers in a collection's metadata, which can be recognised in a question.

They are learnt from the values. A field of few values, each on several chunks, holds names (民法典, Handbook). A field
whose values are numbered alike (第五百九十条, Section 12, 12.3) holds numbers, which are kept as integers. Reading a
question takes well under a millisecond, however many values there are.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bothways.core.text.han import has_han
from bothways.core.text.numerals import NUMERALS, parse_number, parse_roman

Key = tuple[int, ...]
"""A number in its parts: 第一百二十条之一 is (120, 1), as 120.1 is."""

Meaning = tuple[str, str]
"""A metadata field and one of its values."""

MIN_CHUNKS_A_NAME = 2.0
"""Chunks a value on the average; fields with fewer hold names of single chunks, which are not recognised."""

LONGEST_NAME = 80
_MIN_SHARE = 0.8
_MIN_SHARE_A_UNIT = 0.2
_STATE = "中华人民共和国"
_BRACKETED = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|【[^】]*】|〔[^〕]*〕")
_ZH = re.compile(rf"第\s*([{NUMERALS}\d]+)\s*(\S.*)", re.DOTALL)
_ZH_UNIT = re.compile(rf"([^\W\d]+?)(?:之([{NUMERALS}\d]+))?(?![^\W\d])")
_LATIN = re.compile(r"(?:([a-z]+)\.?\s+|(§+)\s*)?(\d+(?:\.\d+)*|[ivxlc]+)(?![\w-]|\.\w)\.?")
_LONGEST_UNIT = 3

_SAME_UNIT = (
    ("条", "條", "article", "art"),
    ("章", "chapter", "ch"),
    ("节", "節", "section", "sec", "§"),
    ("页", "頁", "page"),
    ("编", "編", "part", "book"),
    ("款", "paragraph", "para"),
    ("年", "year"),
    ("卷", "volume", "vol"),
    ("期", "issue"),
    ("号", "號", "no", "number"),
)
"""Words that mean the same in citations: values may have one of them, and a question another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """A numbered field: the words that stand with its numbers (`cues`), and the values of each number."""

    field: str
    cues: frozenset[str]
    values: Mapping[Key, tuple[str, ...]]
    roman: bool = False

    def between(self, first: int, last: int) -> tuple[str, ...]:
        """Return the values of the numbers from `first` to `last`."""
        return tuple(value for key, values in self.values.items() if first <= key[0] <= last for value in values)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What names mean, by their normalised spelling; their lengths, by their first two characters; numbered fields."""

    names: Mapping[str, tuple[Meaning, ...]] = field(default_factory=dict)
    lengths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    numbered: tuple[Numbered, ...] = ()

    def names_in(self, text: str) -> list[tuple[int, int]]:
        """Return the places of names in a normalised text, from the left; of two at one place the longer."""
        found: list[tuple[int, int]] = []
        start, last = 0, len(text) - 1
        lengths = self.lengths
        while start < last:
            for length in lengths.get(text[start : start + 2], ()):
                if text[start : start + length] in self.names and _stands_alone(text, start, start + length):
                    found.append((start, start + length))
                    start += length - 1
                    break
            start += 1
        return found


def normalised(text: str) -> str:
    """Return a text as names and numbers are compared: NFKC (full-width becomes half-width), lower case."""
    return unicodedata.normalize("NFKC", text).lower()


def learn(fields: Mapping[str, Mapping[str, int]]) -> Vocabulary:
    """Return the vocabulary of fields: by field and value, the number of chunks."""
    numbered: list[Numbered] = []
    names: dict[str, dict[Meaning, None]] = defaultdict(dict)
    for name, counts in fields.items():
        found = learn_numbers(name, counts)
        numbered += found
        if found:
            continue
        if counts and sum(counts.values()) / len(counts) >= MIN_CHUNKS_A_NAME:
            for value in counts:
                for title in titles(value):
                    names[title][name, value] = None
    lengths: dict[str, set[int]] = defaultdict(set)
    for title in names:
        lengths[title[:2]].add(len(title))
    return Vocabulary(
        {title: tuple(meanings) for title, meanings in names.items()},
        {start: tuple(sorted(found, reverse=True)) for start, found in lengths.items()},
        tuple(numbered),
    )


def titles(value: str) -> list[str]:
    """Return the names of a value: itself, without brackets, without 中华人民共和国 or "the".

    Single characters, two Latin letters and numbers alone are no names.
    """
    whole = normalised(value).strip()
    bare = _BRACKETED.sub("", whole).strip(" 《》\"'“”")
    shortened = bare.removeprefix(_STATE).removeprefix("the ").strip()
    return [title for title in dict.fromkeys((whole, bare, shortened)) if _is_name(title)]


def _is_name(title: str) -> bool:
    if not 2 <= len(title) <= LONGEST_NAME or title in {_STATE, "true", "false", "null", "none"}:
        return False
    if has_han(title):
        return True
    letters = sum(char.isalpha() for char in title)
    return letters >= 3 or (letters > 0 and any(char.isdigit() for char in title))


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Return whether Latin letters and digits at the ends are not part of longer words."""
    before = start > 0 and _is_latin(text[start]) and _is_latin(text[start - 1])
    after = end < len(text) and _is_latin(text[end - 1]) and _is_latin(text[end])
    return not (before or after)


def _is_latin(char: str) -> bool:
    return char.isalnum() and ord(char) < 0x2E80


def learn_numbers(name: str, values: Iterable[str]) -> tuple[Numbered, ...]:
    """Read the values of a field as numbers, by unit; none where less than `_MIN_SHARE` of them are numbers.

    A unit needs a fifth of the values: a field may have the articles of one book and the sections of another.
    """
    texts = {value: normalised(value).strip() for value in values}
    readings = []
    for longest in (_LONGEST_UNIT, 1):  # 第二章法人: where no space ends the unit, it is one character
        read = {value: _zh(text, longest) or _latin(text) for value, text in texts.items()}
        votes = Counter(found[0] for found in read.values() if found)
        units = [unit for unit, count in votes.items() if count >= _MIN_SHARE_A_UNIT * len(texts)]
        if units and sum(votes[unit] for unit in units) >= _MIN_SHARE * len(texts):
            readings.append((units, read))
    if readings:  # with few values, a title behind its unit could look like another unit
        units, read = min(readings, key=lambda reading: len(reading[0]))
        return tuple(_numbered(name, unit, read) for unit in units)
    return ()


def _numbered(name: str, unit: str, read: Mapping[str, tuple[str, Key] | None]) -> Numbered:
    numbers: dict[Key, list[str]] = defaultdict(list)
    roman = True
    for value, found in read.items():
        if found and found[0] == unit:
            numbers[found[1]].append(value)
            roman = roman and not re.search(rf"[\d{NUMERALS}]", normalised(value))
    return Numbered(
        field=name,
        cues=cues(unit or name.lower()),
        values={key: tuple(several) for key, several in numbers.items()},
        roman=roman,
    )


def cues(unit: str) -> frozenset[str]:
    """Return the words that mean a unit, or its singular."""
    singular = unit.removesuffix("s") if unit.isascii() and len(unit) > 3 else unit
    return frozenset(next((same for same in _SAME_UNIT if singular in same), (singular,)))


def _zh(text: str, longest: int) -> tuple[str, Key] | None:
    match = _ZH.match(text)
    unit = _ZH_UNIT.match(match[2]) if match else None
    number = parse_number(match[1]) if match else None
    if match is None or unit is None or number is None:
        return None
    below = parse_number(unit[2]) if unit[2] else None
    word = unit[1] if len(unit[1]) <= longest else unit[1][:1]
    return word, (number,) if below is None else (number, below)


def _latin(text: str) -> tuple[str, Key] | None:
    match = _LATIN.match(text)
    if match is None:
        return None
    key = latin_key(match[3])
    return (match[1] or match[2] or "", key) if key else None


def latin_key(text: str) -> Key | None:
    """Read 12, 12.3 or XII."""
    if text[0].isdigit():
        parts: Sequence[int | None] = [parse_number(part) for part in text.split(".")]
        return tuple(part for part in parts if part is not None) if None not in parts else None
    number = parse_roman(text)
    return (number,) if number else None
