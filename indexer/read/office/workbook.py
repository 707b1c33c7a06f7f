"""Excel (.xlsx, .xlsm), streamed: what the sheets show, so values and not formulas; hidden sheets are left out."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from itertools import islice
from math import isfinite
from typing import IO, Any

from openpyxl.cell.read_only import ReadOnlyCell
from openpyxl.reader.excel import ExcelReader
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet._read_only import ReadOnlyWorksheet
from openpyxl.worksheet._reader import WorkSheetParser
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
from openpyxl.xml.functions import iterparse

from bothways.core.datatypes import Document
from bothways.core.errors import ReadError
from bothways.indexer.read.files.archive import check_archive, reading
from bothways.indexer.read.files.folder import Source
from bothways.indexer.read.office.sheet import Row, Sheet, sheet_documents

_SHEETS = "xl/worksheets/"
_MAX_ROW = 1_048_576
_MAX_CELLS = 100_000_000
_NO_VALUE = re.compile(
    rb"<(?:\w{1,9}:)?c\s([^>]{0,200})>\s{0,9}<(?:\w{1,9}:)?f\b[^>]{0,300}?(?:/>|>[^<]{0,20000}</(?:\w{1,9}:)?f>)\s{0,9}"
    rb"(?:<(?:\w{1,9}:)?v\s?/>|<(?:\w{1,9}:)?v></(?:\w{1,9}:)?v>)?\s{0,9}</(?:\w{1,9}:)?c>"
)
_MAX_CHARACTERS = 100_000_000
"""Characters of a sheet: one string may stand in each of its cells, but only once in the file."""
_MAX_ELEMENTS = 400_000
"""Elements of one row, which is held as a whole: 16,384 cells of a value, a formula and some runs of text."""
_LONGEST_ELEMENT = 50_000_000
_MAX_TAGS = 500_000
_MAX_SHEET_NAME = 100
_MAIN = f"{{{SHEET_MAIN_NS}}}"
_STRING, _ROW, _DATA = f"{_MAIN}si", f"{_MAIN}row", f"{_MAIN}sheetData"
_PIECE = 1_000_000
_LONGEST_CELL = 30_000


def read_xlsx(source: Source) -> Iterator[Document]:
    """Read a workbook: a document for each twenty rows of each visible sheet, by `sheet_documents`.

    Formulas count by the values that were saved with them; those saved without are reported. Cells that show an error
    are left out. The sheet's name and its rows are in the metadata.
    """
    check_archive(source, "Excel file", max_tags=_MAX_TAGS, streamed=_SHEETS)
    found = False
    with reading("Excel file", InvalidFileException):
        missing = _formulas_without_values(source)
        reader = _Reader(source.path, read_only=True, data_only=True, keep_links=False)
        reader.read()
        book: Any = reader.wb
        seen: set[str] = set()
        try:
            for place, sheet in enumerate(book.worksheets, start=1):
                if sheet._worksheet_path in seen:
                    source.on_skip(source.relative, f"Sheet {sheet.title!r} shows the same data as another sheet.")
                    continue
                seen.add(sheet._worksheet_path)
                if sheet.sheet_state != "visible":
                    source.on_skip(source.relative, f"Sheet {sheet.title!r} is hidden.")
                    continue
                for document in sheet_documents(
                    source, Sheet(place, sheet.title[:_MAX_SHEET_NAME], _rows(book, sheet))
                ):
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


class _Reader(ExcelReader):
    """Reads a workbook but for what nobody needs for its text: shared strings are taken without their fonts."""

    def read_strings(self) -> None:
        """Read the table of shared strings, each as openpyxl would."""
        part: Any = self.package.find(SHARED_STRINGS)  # type: ignore[no-untyped-call]
        if part is None:
            return
        with self.archive.open(part.PartName[1:]) as xml:
            self.shared_strings = [_string(node) for _, node in iterparse(xml) if node.tag == _STRING]

    def read_worksheets(self) -> None:
        """List the sheets, unread: openpyxl looks for the size of each, which may be all of its rows further on."""
        book: Any = self.wb
        for sheet, relation in self.parser.find_sheets():
            if relation.target in self.valid_files and "chartsheet" not in relation.Type:
                unread = _Sheet(book, sheet.name, relation.target, self.shared_strings)
                unread.sheet_state = sheet.state or "visible"
                book._sheets.append(unread)


class _Sheet(ReadOnlyWorksheet):
    """A sheet of which only its name, its state and its place in the archive are known."""

    def _get_size(self) -> None:
        """Leave the size unknown."""


def _string(node: Any) -> str:  # noqa: ANN401  (an element of whichever parser openpyxl uses)
    texts = [node.find(f"{_MAIN}t"), *(run.find(f"{_MAIN}t") for run in node.iterfind(f"{_MAIN}r"))]
    text = "".join(text.text or "" for text in texts if text is not None)
    node.clear()
    return text.replace("x005F_", "")


class _Xml:
    """The markup of a sheet as a file; `since` is what was read of it since the last end of an element."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.since = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; too many without any element are a `ReadError`."""
        data = self._file.read(size)
        self.since += len(data)
        if self.since > _LONGEST_ELEMENT:
            raise ReadError(f"A part of a sheet has more than {_LONGEST_ELEMENT:,} characters without an end.")
        return data


def _rows(book: Any, sheet: Any) -> Iterator[Row]:  # noqa: ANN401  (a class that openpyxl keeps to itself)
    """Yield the rows that have values. What the file says of its own size is not believed: it is often all there is.

    openpyxl's parser takes a row apart; but the rows are counted here, none is filled up with blank cells, and what
    follows the rows (merged cells, links, formats) is not looked at.
    """
    cells = characters = 0
    for count, (number, row) in enumerate(_parsed_rows(book, sheet), start=1):
        texts = _texts(sheet, row)
        cells += row[-1]["column"] if row else 0
        characters += sum(map(len, texts))
        if max(number, count) > _MAX_ROW or cells > _MAX_CELLS or characters > _MAX_CHARACTERS:
            raise ReadError(
                f"Sheet {sheet.title!r} is too large: row {number:,}, {cells:,} cells, blank ones counted, "
                f"{characters:,} characters."
            )
        if texts:
            yield number, texts


def _parsed_rows(book: Any, sheet: Any) -> Iterator[tuple[int, list[dict[str, Any]]]]:  # noqa: ANN401
    """Yield each row's number and its cells, as openpyxl's parser makes them; rows that go back are left out."""
    with book._archive.open(sheet._worksheet_path) as file:
        xml = _Xml(file)
        parser = WorkSheetParser(
            xml,
            sheet._shared_strings,
            data_only=True,
            epoch=book.epoch,
            date_formats=book._date_formats,
            timedelta_formats=book._timedelta_formats,
        )
        elements = last = 0
        events = iterparse(xml)
        for _, element in events:
            xml.since = 0
            elements += 1
            if elements > _MAX_ELEMENTS:
                raise ReadError(
                    f"Sheet {sheet.title!r} is too large: row {last + 1:,} has over {elements - 1:,} elements."
                )
            if element.tag == _DATA:
                break
            if element.tag != _ROW:
                continue
            number, cells = parser.parse_row(element)
            element.clear()
            elements = 0
            if number > last:
                last = number
                yield number, cells
        for _, element in islice(events, _MAX_ELEMENTS):  # what follows tells only whether the file is whole
            xml.since = 0
            element.clear()


def _texts(sheet: Any, cells: Sequence[dict[str, Any]]) -> list[str]:  # noqa: ANN401
    """Write the cells of a row up to the last one that has a value; none of a row without values."""
    filled = [cell for cell in cells if cell["value"] is not None]
    if not filled:
        return []
    texts = [""] * max(cell["column"] for cell in filled)
    for cell in filled:
        texts[cell["column"] - 1] = _text(ReadOnlyCell(sheet, **cell))
    return texts


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
        return str(int(value)) if isfinite(value) and value == int(value) else f"{value:.15g}"
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
