"""From a page of a PDF to its lines of text, in reading order, without what the page only repeats.

Slanted text is a watermark; lines in the upper and lower margin that come on most pages are headers and footers. The
rows of ruled tables stand in the place of the lines they were drawn with.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pymupdf

from bothways.core.batches import batched
from bothways.indexer.read.pdf.tables import PageTable

_MARGIN = 0.1
_BLOCK = 32
_PAGE_NUMBER = re.compile(
    r"(第|page|p\.)?\W{0,2}\d{1,4}\W{0,2}(页|頁)?(\W{0,2}(/|of|共)\W{0,2}\d{1,4}\W{0,2}(页|頁)?)?", re.IGNORECASE
)
_NO_LETTERS = re.compile(r"[\W_]*")
_FLAGS = pymupdf.TEXTFLAGS_DICT & ~pymupdf.TEXT_PRESERVE_IMAGES & ~pymupdf.TEXT_PRESERVE_LIGATURES
_WIDE_MARK = re.compile(r"(?<=[。，；：、！？）》」』】]) (?=\S)")
_LAST_OF_PARAGRAPH = re.compile(r"[\u2e80-\u9fff\uff00-\uffef”’]\s+$")
_COMMON = 0.3
_FAR = 2.0
_LONGEST = 10_000
"""Characters from which on a line is not lengthened: no page is so wide, and each piece would copy all before it."""


@dataclass(slots=True, kw_only=True)
class Line:
    """A line of text and its box in points, y downwards.

    `closed`: a paragraph ends with it. `row`: it is the row of a ruled table. `spread`: its pieces stand far apart, as
    in a table without rules. Rows and spread lines are paragraphs of their own.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    text: str
    closed: bool = False
    row: bool = False
    spread: bool = False

    @property
    def alone(self) -> bool:
        """Whether it is a paragraph of its own."""
        return self.row or self.spread


@dataclass(slots=True, kw_only=True)
class Page:
    """One page: its number from 1, its height in points, its lines, and whether they come from OCR."""

    number: int
    height: float
    lines: list[Line] = field(default_factory=list)
    ocr: bool = False


def page_lines(page: Any, tables: Sequence[PageTable]) -> list[Line]:  # noqa: ANN401  (pymupdf has no types)
    """Read the lines of a page in reading order, each table's rows where its text stands."""
    lines: list[Line] = []
    places: dict[int, tuple[int, float]] = {}
    for block in page.get_text("dict", flags=_FLAGS)["blocks"]:
        for raw in block.get("lines", ()):
            line = _line(raw, page)
            if line is None:
                continue
            table = next((table for table in tables if _is_inside(line, table)), None)
            if table is None:
                add(lines, line)
            else:
                places.setdefault(tables.index(table), (len(lines), line.size))
    _close(lines)
    return _with_tables(lines, [(tables[number], *place) for number, place in places.items()], page.rect.height)


def add(lines: list[Line], line: Line) -> None:
    """Append a line, or lengthen the last one if both are pieces of one line."""
    last = lines[-1] if lines else None
    size = line.size
    is_apart = last is None or abs(line.y0 - last.y0) >= size * 0.4 or line.x0 < last.x1 - 1
    if last is None or last.row or is_apart or len(last.text) > _LONGEST:
        lines.append(line)
        return
    width = line.x0 - last.x1
    text = last.text + (" " if width > size * 0.15 else "") + line.text
    spread = last.spread or width > size * _FAR
    lines[-1] = Line(
        x0=last.x0,
        y0=last.y0,
        x1=line.x1,
        y1=max(last.y1, line.y1),
        size=last.size,
        text=text,
        closed=line.closed,
        spread=spread,
    )


def body(page: Page) -> list[Line]:
    """Return the lines that stand between the margins."""
    return [line for line in page.lines if not _in_margin(line, page.height)]


def without_running_lines(pages: Iterable[Page]) -> Iterator[Page]:
    """Drop lines in the margins that are page numbers, or come, but for digits, on most pages around.

    Lazy: two blocks of 32 pages are held at a time.
    """
    before: list[Counter[str]] = []
    for block in batched(pages, _BLOCK):
        names = [Counter({_key(line) for line in page.lines if _in_margin(line, page.height)}) for page in block]
        around = [*before, *names]
        counts = sum(around, Counter[str]())
        running = {name for name, count in counts.items() if count >= 2 and count * 2 > len(around)}
        before = names
        for page in block:
            page.lines = [line for line in page.lines if not _is_running(line, page.height, running)]
            yield page


def _is_running(line: Line, height: float, running: set[str]) -> bool:
    return _in_margin(line, height) and (_key(line) in running or is_page_number(line.text))


def is_page_number(text: str) -> bool:
    """Return whether a line is a page number: 12, - 12 -, 第 3 页 共 9 页, Page 3 / 9. Marks around it do not count.

    Marks in a row are made two at most before they are looked at: a line of dots would be tried in all their divisions.
    """
    start = _match_end(text)
    bare = text[start : len(text) - _match_end(text[start:][::-1])]
    short = re.sub(r"\W+", lambda run: ("." if run[0][0] == "." else " ") + ("/" if "/" in run[0] else " "), bare)
    return _PAGE_NUMBER.fullmatch(short) is not None


def _match_end(text: str) -> int:
    match = _NO_LETTERS.match(text)
    return match.end() if match else 0


def _in_margin(line: Line, height: float) -> bool:
    return not line.row and (line.y1 <= height * _MARGIN or line.y0 >= height * (1 - _MARGIN))


def _key(line: Line) -> str:
    return re.sub(r"\d+", "#", line.text)


def _line(raw: dict[str, Any], page: Any) -> Line | None:  # noqa: ANN401
    across, down = raw["dir"]
    whole = "".join(span["text"] for span in raw["spans"]).replace("\0", "")
    text = _WIDE_MARK.sub("", whole.strip())
    if not text or min(abs(across), abs(down)) > 0.1:
        return None
    box = pymupdf.Rect(raw["bbox"]) * page.rotation_matrix
    size = max(span["size"] for span in raw["spans"])
    return Line(
        x0=box.x0,
        y0=box.y0,
        x1=box.x1,
        y1=box.y1,
        size=size,
        text=text,
        closed=_LAST_OF_PARAGRAPH.search(whole) is not None,
    )


def _close(lines: Sequence[Line]) -> None:
    """Forget the spaces at line ends where they are common: only where they are rare do they end paragraphs.

    Word and the makers of Chinese court reports write the paragraph mark as a space behind the last line.
    """
    closed = sum(line.closed for line in lines)
    if closed > len(lines) * _COMMON:
        for line in lines:
            line.closed = False


def _is_inside(line: Line, table: PageTable) -> bool:
    x, y = (line.x0 + line.x1) / 2, (line.y0 + line.y1) / 2
    return table.x0 <= x <= table.x1 and table.y0 <= y <= table.y1


def _with_tables(lines: list[Line], tables: Sequence[tuple[PageTable, int, float]], height: float) -> list[Line]:
    """Put each table's rows in front of the first line below it, else where its text stands in the file."""
    placed: list[tuple[int, list[Line]]] = []
    for table, place, size in tables:
        below = (
            number
            for number, line in enumerate(lines)
            if line.y0 >= table.y1 - size and line.x0 < table.x1 and line.x1 > table.x0 and not _in_margin(line, height)
        )
        placed.append((next(below, place), list(_rows(table, size))))
    for place, rows in sorted(placed, key=lambda one: (one[0], one[1][0].y0), reverse=True):
        lines[place:place] = rows
    return lines


def _rows(table: PageTable, size: float) -> Iterator[Line]:
    height = (table.y1 - table.y0) / max(1, len(table.rows))
    for number, row in enumerate(table.rows):
        top = table.y0 + number * height
        yield Line(x0=table.x0, y0=top, x1=table.x1, y1=top + height, size=size, text=row, closed=True, row=True)
