"""Excel (.xlsx, .xlsm), streamed: what the sheets show, so values and not formulas; hidden sheets are left out."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import IO, Any

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from core.datatypes import Document
from core.errors import ReadError
from indexer.read.archive import check_archive, reading
from indexer.read.folder import Source
from indexer.read.sheet import Row, Sheet, sheet_documents

_SHEETS = "xl/worksheets/"
_MAX_ROW = 1_048_576
_MAX_CELLS = 100_000_000
_NO_VALUE = re.compile(
    rb"<(?:\w{1,9}:)?c\s([^>]{0,200})>\s{0,9}<(?:\w{1,9}:)?f\b[^>]{0,300}?(?:/>|>[^<]{0,20000}</(?:\w{1,9}:)?f>)\s{0,9}"
    rb"(?:<(?:\w{1,9}:)?v\s?/>|<(?:\w{1,9}:)?v></(?:\w{1,9}:)?v>)?\s{0,9}</(?:\w{1,9}:)?c>"
)
_PIECE = 1_000_000
_LONGEST_CELL = 30_000


def read_xlsx(source: Source) -> Iterator[Document]:
    """Read a workbook: a document for each twenty rows of each visible sheet, by `sheet_documents`.

    Formulas count by the values that were saved with them; those saved without are reported. Cells that show an error
    are left out. The sheet's name and its rows are in the metadata.
    """
    check_archive(source, "Excel file", streamed=_SHEETS)
    found = False
    with reading("Excel file", InvalidFileException):
        missing = _formulas_without_values(source)
        book = load_workbook(source.path, read_only=True, data_only=True, keep_links=False)
        try:
            for place, sheet in enumerate(book.worksheets, start=1):
                if sheet.sheet_state != "visible":
                    source.on_skip(source.relative, f"Sheet {sheet.title!r} is hidden.")
                    continue
                for document in sheet_documents(source, Sheet(place, sheet.title, _rows(sheet))):
                    found = True
                    yield document
        finally:
            book.close()
    if not found and missing:
        raise ReadError(
            f"The Excel file has no values: none of its {missing:,} formulas was ever calculated. Open it in a "
            "spreadsheet program, save it there and index it again."
        )
    if not found:
        raise ReadError("The Excel file is empty: none of its visible sheets has a value.")
    if missing:
        source.on_skip(
            source.relative,
            f"{missing:,} formulas were saved without their values; open and save the file in a spreadsheet program.",
        )


def _rows(sheet: Any) -> Iterator[Row]:  # noqa: ANN401  (a class that openpyxl keeps to itself)
    """Yield the rows that have values. What the file says of its own size is not believed: it is often all there is."""
    sheet.reset_dimensions()
    cells = 0
    for number, row in enumerate(sheet.iter_rows(), start=1):
        cells += len(row)
        if number > _MAX_ROW or cells > _MAX_CELLS:
            raise ReadError(f"Sheet {sheet.title!r} is too large: row {number:,}, {cells:,} cells, blank ones counted.")
        if row and any(cell.value is not None for cell in row):
            yield number, [_text(cell) for cell in row]


def _text(cell: Any) -> str:  # noqa: ANN401  (a cell, or the one that stands for all blank ones)
    """Write a value as a person would type it: no ".0" on whole numbers, no midnight on dates, percentages as such."""
    value = cell.value
    if value is None or cell.data_type == "e":
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        if "%" in (cell.number_format or ""):
            return f"{value * 100:.10g}%"
        return str(int(value)) if value == int(value) else f"{value:.15g}"
    if isinstance(value, datetime):
        return str(value.date()) if value.time() == time() else value.isoformat(" ", "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def _formulas_without_values(source: Source) -> int:
    """Count the formulas that no program has calculated yet; openpyxl gives such a cell like a blank one."""
    count = 0
    with zipfile.ZipFile(source.path) as archive:
        for name in archive.namelist():
            if name.startswith(_SHEETS) and name.endswith(".xml"):
                with archive.open(name) as xml:
                    count += _count(xml)
    return count


def _count(xml: IO[bytes]) -> int:
    count, rest = 0, b""
    while piece := xml.read(_PIECE):
        piece = rest + piece
        end = 0
        for match in _NO_VALUE.finditer(piece):
            end = match.end()
            count += b't="str"' not in match[1]  # the value is an empty text
        rest = piece[max(end, len(piece) - _LONGEST_CELL) :]
    return count
