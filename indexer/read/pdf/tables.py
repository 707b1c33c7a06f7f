"""Ruled tables of a PDF page as text: a line a row, "header: value" where the table has a header.

Looking for tables costs twenty times what reading a page costs, so only pages with a grid of ruling lines are asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pymupdf

from bothways.indexer.read.text import append_line

_MIN_RULES = 3
_MIN_LENGTH = 8.0
_THIN = 2.0
_SLACK = 3.0
_MAX_HEADER = 30
_MAX_DRAWINGS = 20_000
_MAX_PLACES = 6_000
_MIN_FILLED = 0.2
_CJK = re.compile(r"[\u2e80-\u9fff]")
_NUMBER = re.compile(r"^[\d\s.,%¥￥$€+()（）:/-]+[元万亿]?$")

Cells = list[str | None]
"""The cells of a row; None where a cell of another row or column reaches into this place."""


class _Character(NamedTuple):
    """A character with the middle of its box, and the number of the line it is of."""

    x: float
    y: float
    line: int
    char: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTable:
    """A table on a page: its box in points, where its columns begin, its header, and its rows as lines of text."""

    x0: float
    y0: float
    x1: float
    y1: float
    columns: tuple[float, ...]
    header: tuple[str, ...]
    rows: tuple[str, ...]


def page_tables(page: Any, above: PageTable | None) -> list[PageTable]:  # noqa: ANN401  (pymupdf has no types)
    """Find the ruled tables of a page, from top to bottom.

    `above` is the last table of the page before: one with the same columns at the top of this page goes on, under the
    same header.
    """
    if not _has_grid(page):
        return []
    tables: list[PageTable] = []
    found = page.find_tables(use_layout=False).tables
    characters = _characters(page) if found else []
    for table in sorted(found, key=lambda table: (table.bbox[1], table.bbox[0])):
        cells = _cells(table, characters)
        if len(cells) < 2 or len(cells[0]) < 2 or not _is_filled(cells):
            continue
        columns = tuple(sorted({round(cell[0]) for cell in table.cells}))
        header = above.header if above and not tables and _goes_on(above, columns) else ()
        tables.append(_table(table.bbox, columns, cells, header))
    return tables


def row_text(cells: Sequence[str], header: Sequence[str] = ()) -> str:
    """Write a row as a line: with a header "name: value; …", else its cells; empty cells are left out."""
    chinese = _CJK.search("".join([*cells, *header])) is not None
    colon, between = ("：", "；") if chinese else (": ", "; ")
    filled = [(name, cell) for name, cell in zip(header or [""] * len(cells), cells, strict=False) if cell]
    if header:
        return between.join(f"{name}{colon}{cell}" if name else cell for name, cell in filled)
    if len(cells) == 2 and len(filled) == 2:
        return colon.join(cell for _, cell in filled)
    return " | ".join(cell for _, cell in filled)


def find_header(cells: Sequence[Cells]) -> tuple[str, ...]:
    """Return the first row if it names the columns: three or more cells, all short, different and no numbers."""
    first = [cell or "" for cell in cells[0]]
    named = all(0 < len(cell) <= _MAX_HEADER and not _NUMBER.match(cell) for cell in first)
    return tuple(first) if len(first) > 2 and len(cells) > 1 and named and len(set(first)) == len(first) else ()


def _table(
    box: Sequence[float], columns: tuple[float, ...], cells: Sequence[Cells], header: tuple[str, ...]
) -> PageTable:
    header = header if len(header) == len(cells[0]) else find_header(cells)
    filled = [[cell or "" for cell in row] for row in cells]
    body = filled[1:] if header and tuple(filled[0]) == header else filled
    rows = tuple(filter(None, (row_text(row, header) for row in body)))
    return PageTable(
        x0=box[0], y0=box[1], x1=box[2], y1=box[3], columns=columns, header=header, rows=rows or (row_text(filled[0]),)
    )


def _is_filled(cells: Sequence[Cells]) -> bool:
    """Tell a table from squared paper and the frames of drawings."""
    return sum(bool(cell) for row in cells for cell in row) >= _MIN_FILLED * sum(map(len, cells))


def _goes_on(above: PageTable, columns: tuple[float, ...]) -> bool:
    if len(above.columns) != len(columns):
        return False
    return all(abs(one - other) <= _SLACK for one, other in zip(above.columns, columns, strict=True))


def _cells(table: Any, characters: Sequence[_Character]) -> list[Cells]:  # noqa: ANN401
    """Return the text of each cell; one that spans rows stands in each of them, one that spans columns in the first."""
    cells: list[Cells] = []
    boxes: list[list[Any]] = []
    for row in table.rows:
        inside = [character for character in characters if row.bbox[1] <= character.y <= row.bbox[3]]
        cells.append([None if box is None else _text(box, inside) for box in row.cells])
        boxes.append(list(row.cells))
        for column, box in enumerate(row.cells):
            above = boxes[-2][column] if len(boxes) > 1 else None
            if box is None and above is not None and above[3] >= row.bbox[3] - _SLACK:
                cells[-1][column] = cells[-2][column]
                boxes[-1][column] = above
    return cells


def _text(box: Sequence[float], characters: Sequence[_Character]) -> str:
    """Write the characters whose middle is in a box, with its lines joined."""
    lines: dict[int, list[str]] = {}
    for character in characters:
        if box[0] <= character.x <= box[2] and box[1] <= character.y <= box[3]:
            lines.setdefault(character.line, []).append(character.char)
    pieces: list[str] = []
    for line in filter(None, ("".join(chars).replace("\0", "").strip() for chars in lines.values())):
        if pieces:
            append_line(pieces, line)
        else:
            pieces.append(line)
    return "".join(pieces)


def _characters(page: Any) -> list[_Character]:  # noqa: ANN401
    """Read the page's characters where they are seen, in reading order; the table finder's own mixes up their lines."""
    raw = page.get_text("rawdict", flags=pymupdf.TEXTFLAGS_RAWDICT & ~pymupdf.TEXT_PRESERVE_IMAGES)
    lines = (line for block in raw["blocks"] for line in block.get("lines", ()))
    characters: list[_Character] = []
    for number, line in enumerate(lines):
        for one in (one for span in line["spans"] for one in span["chars"]):
            box = pymupdf.Rect(one["bbox"]) * page.rotation_matrix
            characters.append(_Character((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, number, one["c"]))
    return characters


def _has_grid(page: Any) -> bool:  # noqa: ANN401
    """Return whether a page has ruling lines for two rows and two columns, and is not a drawing of thousands."""
    across: set[int] = set()
    down: set[int] = set()
    segments = 0

    def take(drawing: dict[str, Any]) -> None:
        nonlocal segments
        if segments > _MAX_DRAWINGS:
            return
        for x0, y0, x1, y1 in _segments(drawing):
            segments += 1
            if abs(x1 - x0) >= _MIN_LENGTH:
                across.update((round(y0), round(y1)))
            if abs(y1 - y0) >= _MIN_LENGTH:
                down.update((round(x0), round(x1)))

    page.get_cdrawings(callback=take)  # one after the other: a list of a million drawings would fill the memory
    if segments > _MAX_DRAWINGS:
        return False
    return min(len(across), len(down)) >= _MIN_RULES and len(across) * len(down) <= _MAX_PLACES


def _segments(drawing: dict[str, Any]) -> Iterator[tuple[float, float, float, float]]:
    """Yield what could rule a table: straight lines along an axis, and boxes."""
    for item in drawing["items"]:
        if item[0] == "l":
            (x0, y0), (x1, y1) = item[1], item[2]
            if min(abs(x1 - x0), abs(y1 - y0)) <= _THIN:
                yield x0, y0, x1, y1
        elif item[0] == "re":
            x0, y0, x1, y1 = item[1]
            yield x0, y0, x1, y1
