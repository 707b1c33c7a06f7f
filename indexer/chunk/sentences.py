"""Where sentences end, in Chinese and in English: a line comes in, its sentences go out, nothing lost between them."""

from __future__ import annotations

import re

_SENTENCE_END = re.compile(
    r"[。！？；｡…]+[!?！？。]*()|[!?;]+(?:(?=[\s”’」』）)\]\"'\u2e80-\u9fff\uff00-\uffef]|$)())?|\.+(?:(?=[\s”’)\]\"']|$)())?"
)
"""A run of marks; it ends a sentence where one of the groups, which are empty, took part.

What has to follow is not a condition of the match: a run that fails one would be tried again from each of its marks.
"""
_CLOSERS = "”’」』）)】》〉〕］]\"'"
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|vs|[Ee]\.g|[Ii]\.e|al|[Ff]igs?|[Ee]qs?|No|Nos|[Aa]rt|[Ss]ec|approx|cf|"
    r"Jr|Sr|[Vv]ol|pp?)\.$"
)
_NUMBERING = re.compile(r"^\s*\d{1,3}\.$")
_NEAR = 2_000


def sentences(line: str) -> list[str]:
    """Split a line after each sentence, with its closing quotes and brackets and the spaces that follow."""
    parts: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(line):
        if match.lastindex is None or match.end() <= start or not _ends_sentence(line, start, match):
            continue
        end = match.end()
        while end < len(line) and line[end] in _CLOSERS and not _opens(line, end):
            end += 1
        while end < len(line) and line[end].isspace():
            end += 1
        parts.append(line[start:end])
        start = end
    return [*parts, line[start:]] if start < len(line) else parts


def ends_with_sentence(line: str) -> bool:
    """Return whether a line's last mark, closing quotes and brackets aside, is one that ends a sentence."""
    return _SENTENCE_END.match(line.rstrip(_CLOSERS)[-1:]) is not None


def _ends_sentence(line: str, start: int, match: re.Match[str]) -> bool:
    """Return whether a mark ends a sentence: no full stop after an abbreviation or number, or before a small letter."""
    if not match[0].startswith("."):
        return True
    before = line[max(start, match.end() - 12) : match.end()]
    following = line[match.end() : match.end() + 20].lstrip(_CLOSERS + " ")[:1]
    return not (_ABBREVIATION.search(before) or _NUMBERING.match(line[start : match.end()]) or following.islower())


def _opens(line: str, place: int) -> bool:
    """Return whether a straight quote opens: a word follows it, and an even number of them stands before it."""
    quote, following = line[place], line[place + 1 : place + 2]
    return quote in "\"'" and following.strip() != "" and line.count(quote, max(0, place - _NEAR), place) % 2 == 0
