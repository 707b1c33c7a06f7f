"""Citations in an answer that is being written: those that name a passage get one form, the others are removed.

`[1]`, `[1, 3]`, `[1-3]`, `【1】` and `［1］` become `[1]`, `[1][3]`, ... Text that may become a marker is held back
until it is complete and the next character is known (`[1](address)` is a link), so that no citation is shown and
removed later. The time is proportional to the answer's length, whatever the pieces are.
"""

from __future__ import annotations

import re

INSIDE = r"\d\s,，、;；^\-–—~～至"
"""The characters inside a marker, to stand between the brackets of a pattern."""
_SPACES = " \t\u3000"
_BEGIN = re.compile(r"[\[【［]")
_ENDS = "]】］"
_INSIDE = re.compile(f"[{INSIDE}]*")
_ONE = r"\s*+\^?+(\d++)\s*+(?:[-–—~～至]\s*+\^?+(\d++)\s*+)?"
_EACH = re.compile(_ONE)
_WHOLE = re.compile(rf"{_ONE}(?:(?:[,，、;；]|(?<=\s))[,，、;；\s]*+{_ONE})*[,，、;；\s]*+")
_LONGEST = 64
"""Characters of the longest marker; a longer one is removed. At most so many spaces before a marker go with it."""


class Markers:
    """Checks the citations of one answer against passages 1 to `n`; `cited` are in order of first appearance."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._held = ""
        self._passing_over = False
        self.cited: list[int] = []
        self.removed = 0

    def feed(self, text: str) -> str:
        """Take a piece of the answer and return what can be shown now."""
        return self._read(self._held + text, final=False)

    def close(self) -> str:
        """Return the rest at the answer's end; a marker that was never finished is removed."""
        shown = self._read(self._held, final=True)
        held, self._held = self._held, ""
        begin = _BEGIN.search(held)
        if begin and any(char.isdecimal() for char in held[begin.start() :]):
            self.removed += 1
            held = held[: begin.start()]
        return (shown + held).rstrip()

    def _read(self, text: str, *, final: bool) -> str:
        """Return the text whose markers are known, and hold the rest, which is short."""
        shown: list[str] = []
        at = 0
        while True:
            at = self._passed_over(text, at)
            begin = _BEGIN.search(text, at)
            free = begin.start() if begin else len(text)
            step = self._marker(text, free, final=final) if begin and not self._passing_over else None
            if step is None:
                break
            made, end = step
            before = text[at:free]
            shown.append(before + made if made else _without_spaces(before))
            at = end
        kept = at + len(_without_spaces(text[at:free]))
        shown.append(text[at:kept])
        self._held = text[kept:]
        return "".join(shown)

    def _marker(self, text: str, begin: int, *, final: bool) -> tuple[str, int] | None:
        """Return what is shown of a possible marker, and where it ends; None where more text is needed to tell."""
        end = _end_inside(text, begin + 1)
        marker = text[begin + 1 : end]
        if len(marker) > _LONGEST:
            self._passing_over = True
            self.removed += 1
            return "", end
        if end == len(text):
            return None
        if text[end] not in _ENDS or not _WHOLE.fullmatch(marker):
            return text[begin:end], end
        if end + 1 == len(text) and not final:
            return None
        if text[end + 1 : end + 2] == "(":  # a link
            self.removed += 1
            return "", end + 1
        return self._checked(marker), end + 1

    def _passed_over(self, text: str, at: int) -> int:
        """Return where text goes on after a marker that is too long."""
        if not self._passing_over:
            return at
        end = _end_inside(text, at)
        self._passing_over = end == len(text)
        return end + (text[end : end + 1] in tuple(_ENDS))

    def _checked(self, marker: str) -> str:
        kept: list[int] = []
        for first, last in _EACH.findall(marker):
            low, high = int(first), int(last or first)
            valid = range(max(low, 1), min(high, self._n) + 1)
            self.removed += not (1 <= low <= high <= self._n)
            kept += [n for n in valid if n not in kept]
        self.cited += [n for n in kept if n not in self.cited]
        return "".join(f"[{n}]" for n in kept)


def _end_inside(text: str, start: int) -> int:
    inside = _INSIDE.match(text, start)
    return inside.end() if inside else start


def _without_spaces(text: str) -> str:
    """Return text without the spaces at its end, at most `_LONGEST` of them."""
    return text[: max(len(text.rstrip(_SPACES)), len(text) - _LONGEST)]
