"""From the lines of PDF pages to paragraphs: what the page's width broke is joined, also across pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from indexer.read.pdf_lines import Line, Page
from indexer.read.text import join_lines

_CLOSERS = "[”’」』）)】》\\]\"']*$"
_SENTENCE_END = re.compile(rf"[。！？；：.!?;:…]{_CLOSERS}")
_FULL_STOP = re.compile(rf"[。！？.!?…]{_CLOSERS}")
_FIRST_SENTENCE = re.compile(r"^.{0,200}?(?:[。！？；…]|[.!?;](?=\s|$|[”’」』)\]\"']))[”’」』）)】》\]\"']*", re.DOTALL)
_BULLET = re.compile(
    r"^([-•·▪●◆■–]\s*\S|\d+[.、)）]\s*\D|[（(](\d{1,2}|[一二三四五六七八九十]+)[)）]|[一二三四五六七八九十]+、)"
)
_CJK = re.compile(r"[\u2e80-\u9fff]")

AfterHeading = Callable[[str], str | None]
"""What stands behind the heading that a line begins with: "" if it is alone, None where the line has none."""


@dataclass(slots=True)
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
    blocks: list[str] = []
    opening = previous = None
    for line in lines:
        heading = after_heading(line.text) is not None or (previous and after_heading(previous.text) == "")
        if opening is None or previous is None or heading or _begins(line, previous, opening, lines):
            blocks.append(line.text)
            opening = line
        else:
            blocks[-1] = join_lines(blocks[-1], line.text)
        previous = line
    if opening is None or previous is None:
        return Paragraphs([])
    first = lines[0]
    return Paragraphs(
        blocks,
        open=not (_FULL_STOP.search(previous.text) or _ends(previous, lines) or after_heading(previous.text) == ""),
        in_list=_SENTENCE_END.search(previous.text) is not None,
        at_edge=not (first.alone or _is_indented(first, lines) or after_heading(first.text) is not None),
        bullet=_BULLET.match(first.text) is not None,
        indented=_is_indented(opening, lines),
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
    above = Paragraphs([])
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


def _begins(line: Line, previous: Line, opening: Line, lines: Sequence[Line]) -> bool:
    """Whether a line begins a paragraph. In a new column the gap says nothing."""
    same_column = line.y0 > previous.y0
    gap = same_column and line.y0 - previous.y1 > 1.2 * line.size
    other_size = abs(line.size - previous.size) > 0.15 * max(line.size, previous.size)
    by_layout = line.alone or gap or other_size or _is_indented(line, lines) or _ends(previous, lines)
    return by_layout or (_BULLET.match(line.text) is not None and _lists(previous, opening, lines))


def _lists(previous: Line, opening: Line, lines: Sequence[Line]) -> bool:
    """Whether what looks like an item of a list behind `previous` is one, and no part of a sentence.

    Where paragraphs begin with an indent, “…；二、…” or “（2）” at the edge goes on with the sentence.
    """
    return not _is_indented(opening, lines) or _FULL_STOP.search(previous.text) is not None


def _ends(line: Line, lines: Sequence[Line]) -> bool:
    return line.alone or line.closed or _is_short(line, lines)


def _is_indented(line: Line, lines: Sequence[Line]) -> bool:
    return line.x0 - _edges(line, lines)[0] > line.size


def _is_short(line: Line, lines: Sequence[Line]) -> bool:
    """Whether a line stops well before the right edge: Chinese fills its lines, Latin text is ragged."""
    left, right = _edges(line, lines)
    missing = right - line.x1
    if _CJK.search(line.text):
        return missing > 3.5 * line.size
    return missing > 0.3 * (right - left) and bool(_SENTENCE_END.search(line.text) or len(line.text) < 30)


def _edges(line: Line, lines: Sequence[Line]) -> tuple[float, float]:
    """Return the left and right edge of the column that a line stands in."""
    column = [other for other in lines if not other.alone and abs(other.x0 - line.x0) < 4 * line.size] or [line]
    ends = sorted(other.x1 for other in column)
    return min(other.x0 for other in column), ends[int(len(ends) * 0.9)] if len(ends) > 9 else ends[-1]
