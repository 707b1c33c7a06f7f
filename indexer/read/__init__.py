"""From a path to documents: a file or a folder comes in, one `Document` per record, page, section or article goes out.

One file is open at a time and records stream, so the size of a folder does not matter. A file that cannot be read is
handed to `on_failure`, one that is no document to `on_skip`, and the rest goes on.

`read` works in the caller's process; jobs use `read_in_child` of indexer/read/child/read.py, which no file can end or
block.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from importlib import import_module
from pathlib import Path

from bothways.core.datatypes import Document, Failure
from bothways.core.errors import UsageError
from bothways.core.text.document_id import document_id
from bothways.indexer.read.delimited import read_csv
from bothways.indexer.read.files.folder import CASE_SECTIONS, Source, walk
from bothways.indexer.read.files.metadata import bounded
from bothways.indexer.read.files.reasons import reason_of
from bothways.indexer.read.other import not_read, read_other
from bothways.indexer.read.records import read_json, read_jsonl
from bothways.indexer.read.text import read_text

Reader = Callable[[Source], Iterator[Document]]


def _imported_when_used(module: str, name: str) -> Reader:
    """Return a reader whose module, and the libraries behind it, are imported when the first file needs it."""

    def reader(source: Source) -> Iterator[Document]:
        read_documents: Reader = getattr(import_module(f"bothways.indexer.read.{module}"), name)
        return read_documents(source)

    return reader


def _mail(source: Source) -> Iterator[Document]:
    """Read a mail; its attachments are read by all the readers here."""
    from bothways.indexer.read.mail import read_mail

    return read_mail(source, READERS)


__all__ = ["READERS", "document_id", "read", "read_file"]

READERS: dict[str, Reader] = {
    **dict.fromkeys((".txt", ".text", ".log"), read_text),
    **dict.fromkeys((".md", ".markdown"), _imported_when_used("markdown", "read_markdown")),
    **dict.fromkeys((".html", ".htm", ".xhtml"), _imported_when_used("html", "read_html")),
    ".pdf": _imported_when_used("pdf.pages", "read_pdf"),
    **dict.fromkeys((".docx", ".docm"), _imported_when_used("office.word", "read_docx")),
    **dict.fromkeys((".pptx", ".pptm"), _imported_when_used("office.slides", "read_pptx")),
    **dict.fromkeys((".xlsx", ".xlsm"), _imported_when_used("office.workbook", "read_xlsx")),
    **dict.fromkeys((".csv", ".tsv"), read_csv),
    ".epub": _imported_when_used("epub", "read_epub"),
    ".eml": _mail,
    ".json": read_json,
    **dict.fromkeys((".jsonl", ".ndjson"), read_jsonl),
    **dict.fromkeys((".xls", ".msg", ".ipynb", ".rss", ".atom"), read_other),
}
"""The reader for each file name extension, in lower case."""


def read_file(source: Source) -> Iterator[Document]:
    """Read one file by the reader of its type. Raises whatever its library raises."""
    for document in READERS[source.path.suffix.lower()](source):
        yield bounded(document, source)


def read(
    path: Path,
    *,
    max_file_mb: float,
    on_failure: Callable[[Failure], None],
    on_skip: Callable[[str, str], None] = lambda _source, _reason: None,
    case_sections: Collection[str] = CASE_SECTIONS,
) -> Iterator[Document]:
    """Read a file, or all files below a folder in sorted order, lazily.

    `on_failure` gets what could not be read; its item is the path relative to the folder. `on_skip(source, reason)`
    gets what is no document: files of a type that is not read, and text that was left out of a file on purpose.
    `case_sections` names what is read of a case report. A path that does not exist is a `UsageError`, raised at once.
    """
    if not path.exists():
        raise UsageError(f"There is no file or folder {str(path)!r}.")

    def to_source(file: Path, relative: str) -> Source:
        return Source(
            path=file,
            relative=relative,
            max_file_mb=max_file_mb,
            on_failure=on_failure,
            on_skip=on_skip,
            case_sections=case_sections,
        )

    return _read(path, to_source, on_failure, on_skip)


def _read(
    path: Path,
    to_source: Callable[[Path, str], Source],
    on_failure: Callable[[Failure], None],
    on_skip: Callable[[str, str], None],
) -> Iterator[Document]:
    for file, relative in walk(path, on_failure=on_failure, on_skip=on_skip):
        if file.suffix.lower() not in READERS:
            on_skip(relative, not_read(file.suffix))
            continue
        try:
            yield from read_file(to_source(file, relative))
        except Exception as error:  # noqa: BLE001 – whatever a library raises over a file is that file's failure
            on_failure(Failure(stage="read", item=relative, reason=reason_of(error)))
