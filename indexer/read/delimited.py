"""CSV and TSV, streamed: encoding and delimiter are told by the file itself."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from statistics import median_low
from typing import TextIO

from bothways.core.datatypes import Document
from bothways.core.errors import ReadError
from bothways.indexer.read.files.encoding import decode, encoding_of, without_controls
from bothways.indexer.read.files.folder import Source
from bothways.indexer.read.office.sheet import Row, Sheet, sheet_documents

_DELIMITERS = ",;\t|"
_SAMPLE = 1_000_000
_SAMPLE_LINES = 50
_SAMPLE_CHARS = 100_000
_MAX_COLUMNS = 16_384
"""Columns that are read, as many as Excel has."""
_MAX_ROW_CHARS = 4_000_000
"""Characters of one row, which is held as a whole: it may be one line, or many in quotation marks."""


def read_csv(source: Source) -> Iterator[Document]:
    """Read a table of text: a document for each twenty rows, by `sheet_documents`; rows count blank lines too."""
    source.check_size()
    encoding = _encoding(source.path)
    found = False
    for document in sheet_documents(source, Sheet(1, "", _rows(source, encoding))):
        found = True
        yield document
    if not found:
        raise ReadError("The file is empty: it has no rows.")


def _rows(source: Source, encoding: str) -> Iterator[Row]:
    number = 0
    delimiter = "\t" if source.path.suffix.lower() == ".tsv" else _delimiter(source.path, encoding)
    wide = 0
    with source.path.open(encoding=encoding, newline="") as file:
        lines = _Lines(file)
        reader = csv.reader(lines, delimiter=delimiter)
        try:
            for number, cells in enumerate(reader, start=1):
                wide += len(cells) > _MAX_COLUMNS
                yield number, cells[:_MAX_COLUMNS]
                lines.row = 0
        except csv.Error as error:
            raise ReadError(
                f"Row {number + 1} is not valid CSV: {error}. Perhaps a quotation mark is not closed."
            ) from error
        except UnicodeDecodeError as error:
            raise ReadError(f"The file is not valid {encoding} after row {number}; save it as UTF-8.") from error
    if wide:
        source.on_skip(
            source.relative, f"{wide:,} rows have more than {_MAX_COLUMNS:,} columns: the others are left out."
        )


class _Lines:
    """The lines of a table, of which no row takes more than `_MAX_ROW_CHARS`; `row` is what the present one has."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.row = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._file.readline(_MAX_ROW_CHARS):
            self.row += len(line)
            if self.row >= _MAX_ROW_CHARS:
                raise ReadError(f"A row of the table has more than {_MAX_ROW_CHARS:,} characters.")
            yield without_controls(line)


def _delimiter(path: Path, encoding: str) -> str:
    """Choose the delimiter that gives most columns in the middle one of the first lines."""
    with path.open(encoding=encoding, newline="", errors="replace") as file:
        first = (file.readline(_MAX_ROW_CHARS)[:_SAMPLE_CHARS] for _ in range(_SAMPLE_LINES))
        lines = [line for line in first if line.strip()]

    def columns(delimiter: str) -> int:
        try:
            return median_low([len(row) for row in csv.reader(lines, delimiter=delimiter)] or [0])
        except csv.Error:
            return 0

    return max(_DELIMITERS, key=columns)


def _encoding(path: Path) -> str:
    """Return the codec by the first megabyte that is more than ASCII; what is no text is a `ReadError`."""
    with path.open("rb") as file:
        for place, sample in enumerate(iter(lambda: file.read(_SAMPLE) + file.readline(_SAMPLE), b"")):
            wide = b"\0" in sample
            whole = sample[: len(sample) // 4 * 4] if wide else sample
            if place == 0:
                decode(whole)
            if wide or not sample.isascii():
                return encoding_of(whole)
    return "utf-8"
