"""Citations in an answer that is being written: those that name a passage stay, in one form; the others go.

`[1]`, `[1, 3]`, `[1-3]`, `【1】` and `［1］` become `[1]`, `[1][3]`, ... What may become a marker is held back until it
is whole, so that nobody sees a citation that is taken back later.
"""

from __future__ import annotations

import re

_SPACES = " \t\u3000"
_BEGINS = "[【［"
_ENDS = "]】］"
_INSIDE = re.compile(r"[\d\s,，、;；^\-–—~～至]*")
_ONE = r"\s*\^?(\d+)\s*(?:[-–—~～至]\s*\^?(\d+)\s*)?"
_EACH = re.compile(_ONE + r"(?:[,，、;；\s]|\Z)")
_WHOLE = re.compile(rf"{_ONE}(?:[,，、;；\s]+{_ONE})*")
_LONGEST = 64
"""Characters of a marker; what is longer is none, and left out up to its end."""


class Markers:
    """Checks the citations of one answer against passages 1 to `n`. `cited` are those named, in order of appearance."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._held = ""
        self._passing_over = False
        self.cited: list[int] = []
        self.removed = 0

    def feed(self, text: str) -> str:
        """Take in a piece of the answer and give what of it may be shown now."""
        self._held += text
        shown: list[str] = []
        while self._passed_over():
            begin = _first_of(self._held, _BEGINS)
            if begin < 0 or not self._took(begin, shown):
                shown.append(self._free(begin))
                break
        return "".join(shown)

    def _took(self, begin: int, shown: list[str]) -> bool:
        """Take what begins like a marker, if it can be told already whether it is one."""
        end = _end_inside(self._held, begin + 1)
        before, marker = self._held[:begin], self._held[begin + 1 : end]
        if len(marker) > _LONGEST:
            shown.append(before.rstrip(_SPACES))
            self._passing_over = True
            self.removed += 1
        elif end == len(self._held):
            return False
        elif self._held[end] in _ENDS and _WHOLE.fullmatch(marker):
            shown.append(self._checked(before, marker))
            end += 1
        else:
            shown.append(self._held[:end])
        self._held = self._held[end:]
        return True

    def close(self) -> str:
        """Give what is left at the answer's end; a marker that was never finished is none."""
        held, self._held = self._held, ""
        begin = _first_of(held, _BEGINS)
        if begin >= 0 and any(char.isdecimal() for char in held[begin:]):
            self.removed += 1
            held = held[:begin]
        return held.rstrip()

    def _free(self, begin: int) -> str:
        """Give what stands before a possible marker, without the spaces, which go where the marker goes."""
        end = len((self._held if begin < 0 else self._held[:begin]).rstrip(_SPACES))
        free, self._held = self._held[:end], self._held[end:]
        return free

    def _passed_over(self) -> bool:
        """Leave out the rest of what is too long for a marker; False where it may go on."""
        if self._passing_over:
            end = _end_inside(self._held, 0)
            self._passing_over = end == len(self._held)
            self._held = self._held[end + (self._held[end : end + 1] in tuple(_ENDS)) :]
        return not self._passing_over

    def _checked(self, before: str, marker: str) -> str:
        kept: list[int] = []
        for first, last in _EACH.findall(marker):
            low, high = int(first), int(last or first)
            valid = range(max(low, 1), min(high, self._n) + 1)
            self.removed += not (1 <= low <= high <= self._n)
            kept += [n for n in valid if n not in kept]
        self.cited += [n for n in kept if n not in self.cited]
        return before + "".join(f"[{n}]" for n in kept) if kept else before.rstrip(_SPACES)


def _end_inside(text: str, start: int) -> int:
    inside = _INSIDE.match(text, start)
    return inside.end() if inside else start


def _first_of(text: str, chars: str) -> int:
    """Give where the first of several characters stands, -1 where none does."""
    return min((at for char in chars if (at := text.find(char)) >= 0), default=-1)
