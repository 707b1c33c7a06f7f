"""From the lines of PDF pages to paragraphs: what the page's width broke is joined, also across pages."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bothways.indexer.read.pdf.lines import Line, Page
from bothways.indexer.read.text import append_line, join_lines

_CLOSERS = "[”’」』）)】》\\]\"']*$"
_SENTENCE_END = re.compile(rf"[。！？；：.!?;:…]{_CLOSERS}")
_FULL_STOP = re.compile(rf"[。！？.!?…]{_CLOSERS}")
_FIRST_SENTENCE = re.compile(r"^.{0,200}?(?:[。！？；…]|[.!?;](?=\s|$|[”’」』)\]\"']))[”’」』）)】》\]\"']*", re.DOTALL)
_BULLET = re.compile(
    r"^([-•·▪●◆■–]\s*\S|\d+[.、)）]\s*\D|[（(](\d{1,2}|[一二三四五六七八九十]+)[)）]|[一二三四五六七八九十]+、)"
)
_CJK = re.compile(r"[\u2e80-\u9fff]")
_MOST_LOOKED_AT = 4_000_000
"""Lines that are looked at to tell the columns of one page: 2,000 lines of which each begins a column of its own."""

AfterHeading = Callable[[str], str | None]
"""What stands behind the heading that a line begins with: "" if it is alone, None where the line has none."""


@dataclass(slots=True, kw_only=True)
class Paragraphs:
    """One page's paragraphs, and what tells whether the first and the last are cut by the page's edges.

    `open`: the last line is full and ends no sentence. `in_list`: it ends with a semicolon or colon, behind which a
    list may go on. `at_edge`: the first line has no indent. `bullet`: the first line looks like an item of a list.
    `indented`: the last paragraph began with an indent, so that what does not is no new paragraph.
    """

    blocks: list[str]
    open: bool = False
    in_list: bool = False
    at_edge: bool = False
    bullet: bool = False
    indented: bool = False


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of a whole document, and the pages on which it begins and ends."""

    text: str
    first_page: int
    last_page: int


def to_paragraphs(lines: Sequence[Line], after_heading: AfterHeading = lambda _: None) -> Paragraphs:
    """Join lines until the next begins a paragraph: by an indent, a gap, another size, or after a short line.

    A line with a heading begins one in any case, and ends it too if nothing stands behind the heading.
    """
    blocks: list[list[str]] = []
    columns = _Columns(lines)
    opening = previous = None
    for line in lines:
        heading = after_heading(line.text) is not None or (previous and after_heading(previous.text) == "")
        if opening is None or previous is None or heading or _begins(line, previous, opening, columns):
            blocks.append([line.text])
            opening = line
        else:
            append_line(blocks[-1], line.text)
        previous = line
    if opening is None or previous is None:
        return Paragraphs(blocks=[])
    first = lines[0]
    return Paragraphs(
        blocks=["".join(pieces) for pieces in blocks],
        open=not (_FULL_STOP.search(previous.text) or _ends(previous, columns) or after_heading(previous.text) == ""),
        in_list=_SENTENCE_END.search(previous.text) is not None,
        at_edge=not (first.alone or _is_indented(first, columns) or after_heading(first.text) is not None),
        bullet=_BULLET.match(first.text) is not None,
        indented=_is_indented(opening, columns),
    )


def mend(here: Paragraphs, there: Paragraphs) -> None:
    """Bring the rest of a sentence back from the next page, where it runs on there."""
    if not (here.blocks and there.blocks and here.open and there.at_edge) or here.in_list or there.bullet:
        return
    if rest := _FIRST_SENTENCE.match(there.blocks[0]):
        here.blocks[-1] = join_lines(here.blocks[-1], rest[0])
        there.blocks[0] = there.blocks[0][rest.end() :].strip()
        if not there.blocks[0]:
            del there.blocks[0]


def whole_paragraphs(pages: Iterable[Page], after_heading: AfterHeading) -> list[Paragraph]:
    """Read all pages as one text: a paragraph that a page's edge cuts is one, with the pages it stands on."""
    whole: list[Paragraph] = []
    above = Paragraphs(blocks=[])
    for page in pages:
        here = to_paragraphs(page.lines, after_heading)
        for number, block in enumerate(here.blocks):
            if number == 0 and whole and _runs_on(above, here):
                whole[-1] = Paragraph(join_lines(whole[-1].text, block), whole[-1].first_page, page.number)
            else:
                whole.append(Paragraph(block, page.number, page.number))
        above = here if here.blocks else above
    return whole


def _runs_on(above: Paragraphs, here: Paragraphs) -> bool:
    return above.open and here.at_edge and (above.indented or not (above.in_list or here.bullet))


class _Columns:
    """The columns of a page. Lines that begin within four letters of each other stand in one."""

    def __init__(self, lines: Sequence[Line]) -> None:
        column = sorted((line for line in lines if not line.alone), key=lambda line: line.x0)
        self._left = [line.x0 for line in column]
        self._right = [line.x1 for line in column]
        self._known: dict[tuple[int, int], tuple[float, float]] = {}
        self._looked_at = 0

    def edges(self, line: Line) -> tuple[float, float]:
        """Return the left and right edge of the column that a line stands in.

        They are found once for all lines that have the same neighbours. On a page where that would still be endless
        work, all that is left counts as one column.
        """
        first = bisect_right(self._left, line.x0 - 4 * line.size)
        last = bisect_left(self._left, line.x0 + 4 * line.size)
        if first >= last:
            return line.x0, line.x1
        if (first, last) not in self._known:
            self._looked_at += last - first
            if self._looked_at > max(_MOST_LOOKED_AT, 20 * len(self._left)):
                first, last = 0, len(self._left)
        if (first, last) not in self._known:
            ends = sorted(self._right[first:last])
            self._known[first, last] = self._left[first], ends[int(len(ends) * 0.9)] if len(ends) > 9 else ends[-1]
        return self._known[first, last]


def _begins(line: Line, previous: Line, opening: Line, columns: _Columns) -> bool:
    """Whether a line begins a paragraph. In a new column the gap says nothing."""
    same_column = line.y0 > previous.y0
    gap = same_column and line.y0 - previous.y1 > 1.2 * line.size
    other_size = abs(line.size - previous.size) > 0.15 * max(line.size, previous.size)
    by_layout = line.alone or gap or other_size or _is_indented(line, columns) or _ends(previous, columns)
    return by_layout or (_BULLET.match(line.text) is not None and _lists(previous, opening, columns))


def _lists(previous: Line, opening: Line, columns: _Columns) -> bool:
    """Whether what looks like an item of a list behind `previous` is one, and no part of a sentence.

    Where paragraphs begin with an indent, “…；二、…” or “（2）” at the edge goes on with the sentence.
    """
    return not _is_indented(opening, columns) or _FULL_STOP.search(previous.text) is not None


def _ends(line: Line, columns: _Columns) -> bool:
    return line.alone or line.closed or _is_short(line, columns)


def _is_indented(line: Line, columns: _Columns) -> bool:
    return line.x0 - columns.edges(line)[0] > line.size


def _is_short(line: Line, columns: _Columns) -> bool:
    """Whether a line stops well before the right edge: Chinese fills its lines, Latin text is ragged."""
    left, right = columns.edges(line)
    missing = right - line.x1
    if _CJK.search(line.text):
        return missing > 3.5 * line.size
    return missing > 0.3 * (right - left) and bool(_SENTENCE_END.search(line.text) or len(line.text) < 30)
