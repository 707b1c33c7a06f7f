"""CSV and TSV, streamed: encoding and delimiter are told by the file itself."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from statistics import median_low

from core.datatypes import Document
from core.errors import ReadError
from indexer.read.encoding import decode, encoding_of, without_controls
from indexer.read.folder import Source
from indexer.read.sheet import Row, Sheet, sheet_documents

_DELIMITERS = ",;\t|"
_SAMPLE = 1_000_000
_SAMPLE_LINES = 50


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
    with source.path.open(encoding=encoding, newline="") as file:
        reader = csv.reader(map(without_controls, file), delimiter=delimiter)
        try:
            for number, cells in enumerate(reader, start=1):
                yield number, cells
        except csv.Error as error:
            raise ReadError(f"Row {number + 1} is no CSV: {error}. Is a quotation mark not closed?") from error
        except UnicodeDecodeError as error:
            raise ReadError(f"The file is not all {encoding}, after row {number}; save it as UTF-8.") from error


def _delimiter(path: Path, encoding: str) -> str:
    """Choose the delimiter that gives most columns in the middle one of the first lines."""
    with path.open(encoding=encoding, newline="", errors="replace") as file:
        lines = [line for _, line in zip(range(_SAMPLE_LINES), file, strict=False) if line.strip()]

    def columns(delimiter: str) -> int:
        try:
            return median_low([len(row) for row in csv.reader(lines, delimiter=delimiter)] or [0])
        except csv.Error:
            return 0

    return max(_DELIMITERS, key=columns)


def _encoding(path: Path) -> str:
    """Name the codec by the first megabyte that is more than ASCII; what is no text is a `ReadError`."""
    with path.open("rb") as file:
        for place, sample in enumerate(iter(lambda: file.read(_SAMPLE) + file.readline(_SAMPLE), b"")):
            wide = b"\0" in sample
            whole = sample[: len(sample) // 4 * 4] if wide else sample
            if place == 0:
                decode(whole)
            if wide or not sample.isascii():
                return encoding_of(whole)
    return "utf-8"
