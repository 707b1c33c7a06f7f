"""Spreadsheets (.xlsx, .xlsm, .csv, .tsv): one document for each twenty rows, a row a line of "column: value".

So each row says by itself what its numbers mean, wherever it is cut. Rows stream: a million of them, blank or not,
take no more memory than twenty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice

from bothways.core.datatypes import Document
from bothways.core.text.document_id import document_id
from bothways.indexer.read.files.folder import Source

Row = tuple[int, list[str]]
"""A row's number from 1, as a spreadsheet program shows it, and the text of its cells, "" for a blank one."""

_ROWS = 20
_PEEK = 10
_MAX_CAPTIONS = 3
_MAX_CAPTION = 500
"""Characters of a caption, which goes with every twenty rows."""
_MAX_NAME = 50
_NUMBER = re.compile(r"[-+(]?[¥￥$€£]?\s*[\d.,]+\s*[%‰)]?|\d{1,4}[-/.年:]\d.*")
_YEAR = re.compile(r"(?:19|20)\d\d")
_SENTENCE_END = re.compile(r"[。！？；.!?;][”’」』）)】》\]\"']*$")
_DEFAULT_NAME = re.compile(r"(?:Sheet|Tabelle|Feuil|工作表|表)\s*\d*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet: its place in the file from 1, its name ("" for a file that is one sheet) and its rows, as they come.

    Blank rows may be left out of `rows`; the others keep their numbers.
    """

    place: int
    name: str
    rows: Iterator[Row]


def sheet_documents(source: Source, sheet: Sheet) -> Iterator[Document]:
    """Make a document of each twenty rows of a sheet, lazily; of a sheet without text, none.

    One to three rows of a single cell above the table are its caption and go into the heading. The row below is the
    header if it has only short names. `rows` in the metadata are the numbers of the first and the last row.
    """
    rows = ((number, [cell and _inline(cell) for cell in cells]) for number, cells in sheet.rows)
    filled = ((number, cells) for number, cells in rows if any(cells))
    caption, header, body = _head(filled)
    name = "" if _DEFAULT_NAME.fullmatch(sheet.name) else sheet.name
    heading = " › ".join(dict.fromkeys(filter(None, [source.stem, name, caption])))
    for record, group in groupby(body, key=lambda row: row[0] // _ROWS):
        members = list(group)
        yield Document(
            doc_id=document_id(source.relative, page=sheet.place, record=record),
            title=source.stem,
            blocks=tuple(_line(header, cells) for _, cells in members),
            source=source.relative,
            heading=heading,
            metadata={
                **({"sheet": sheet.name} if sheet.name else {}),
                "rows": f"{members[0][0]}-{members[-1][0]}",
            },
        )


def _head(rows: Iterator[Row]) -> tuple[str, Sequence[str], Iterator[Row]]:
    """Take caption and header off the top of a table, where it has them."""
    first = list(islice(rows, _PEEK))
    widths = [sum(map(bool, cells)) for _, cells in first]
    start = next((place for place, width in enumerate(widths) if width > 1), 0)
    if start > _MAX_CAPTIONS or sum(len(cell) for _, cells in first[:start] for cell in cells) > _MAX_CAPTION:
        start = 0
    caption = " ".join(cell for _, cells in first[:start] for cell in cells if cell)
    header: Sequence[str] = ()
    if start + 1 < len(first) and _is_header(first[start][1], max(widths)):
        header = first[start][1]
        start += 1
    return caption, header, chain(first[start:], rows)


def _is_header(cells: Sequence[str], width: int) -> bool:
    """Return whether a row names columns: at least two short, different names, few numbers but years among them."""
    names = list(filter(None, cells))
    return (
        len(names) >= 2
        and len(names) * 2 >= width
        and len(set(names)) == len(names)
        and all(len(name) <= _MAX_NAME and not _SENTENCE_END.search(name) for name in names)
        and all(_YEAR.fullmatch(name) or not _NUMBER.fullmatch(name) for name in names)
        and not all(map(_YEAR.fullmatch, names))
    )


def _line(header: Sequence[str], cells: Sequence[str]) -> str:
    if not header:
        return " | ".join(filter(None, cells))
    names = chain(header, [""] * (len(cells) - len(header)))
    pairs = zip(names, cells, strict=False)
    return "；".join(f"{name}: {cell}" if name else cell for name, cell in pairs if cell)


def _inline(text: str) -> str:
    return " ".join(text.split())
