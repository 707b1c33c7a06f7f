"""From a path to documents: a file or a folder comes in, one `Document` per record, page, section or article goes out.

One file is open at a time and records stream, so the size of a folder does not matter. A file that cannot be read is
handed to `on_failure`, one that is no document to `on_skip`, and the rest goes on.

`read` works in the caller's process; jobs use `read_apart` of indexer/read/child/apart.py, which no file can end or
block.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from bothways.core.datatypes import Document, Failure
from bothways.core.errors import UsageError
from bothways.core.text.document_id import document_id
from bothways.indexer.read.delimited import read_csv
from bothways.indexer.read.files.bounds import bounded
from bothways.indexer.read.files.folder import CASE_SECTIONS, Source, walk
from bothways.indexer.read.files.reason import reason_of
from bothways.indexer.read.other import not_read, read_other
from bothways.indexer.read.records import read_json, read_jsonl
from bothways.indexer.read.text import read_text


def read_html(source: Source) -> Iterator[Document]:
    """Read a web page; its libraries are imported only now: a process that reads is to be there at once."""
    from bothways.indexer.read.html import read_html as read_page

    return read_page(source)


def read_markdown(source: Source) -> Iterator[Document]:
    """Read Markdown, its library imported only now."""
    from bothways.indexer.read.markdown import read_markdown as read_sections

    return read_sections(source)


def read_epub(source: Source) -> Iterator[Document]:
    """Read a book, its libraries imported only now."""
    from bothways.indexer.read.epub import read_epub as read_chapters

    return read_chapters(source)


def read_pdf(source: Source) -> Iterator[Document]:
    """Read a PDF; the library behind it takes half a second to import, which runs without PDFs do not pay."""
    from bothways.indexer.read.pdf.pages import read_pdf as read_pages

    return read_pages(source)


def read_docx(source: Source) -> Iterator[Document]:
    """Read a Word file, its library imported only now."""
    from bothways.indexer.read.office.word import read_docx as read_sections

    return read_sections(source)


def read_pptx(source: Source) -> Iterator[Document]:
    """Read a PowerPoint file, its library imported only now."""
    from bothways.indexer.read.office.slides import read_pptx as read_slides

    return read_slides(source)


def read_xlsx(source: Source) -> Iterator[Document]:
    """Read an Excel file, its library imported only now."""
    from bothways.indexer.read.office.workbook import read_xlsx as read_sheets

    return read_sheets(source)


def read_mail(source: Source) -> Iterator[Document]:
    """Read a mail; its attachments are read by all the readers here."""
    from bothways.indexer.read.mail import read_mail as read_message

    return read_message(source, READERS)


__all__ = ["READERS", "document_id", "read", "read_file"]

READERS: dict[str, Callable[[Source], Iterator[Document]]] = {
    ".txt": read_text,
    ".text": read_text,
    ".log": read_text,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".html": read_html,
    ".htm": read_html,
    ".xhtml": read_html,
    ".pdf": read_pdf,
    ".docx": read_docx,
    ".docm": read_docx,
    ".pptx": read_pptx,
    ".pptm": read_pptx,
    ".xlsx": read_xlsx,
    ".xlsm": read_xlsx,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".epub": read_epub,
    ".eml": read_mail,
    ".json": read_json,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".xls": read_other,
    ".msg": read_other,
    ".ipynb": read_other,
    ".rss": read_other,
    ".atom": read_other,
}
"""The reader for each file name extension, in lower case."""


def read_file(source: Source) -> Iterator[Document]:
    """Read one file by the reader of its type. Raises whatever its library raises over it."""
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
