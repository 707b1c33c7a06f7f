"""PDF: one document a page, or a section of a case report; pages that are images are read by OCR, or reported.

A page is looked at by itself: one that is damaged is named, and the others go on. Pages stream, so that memory does
not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any

import pymupdf

from bothways.core.datatypes import Document
from bothways.core.errors import MissingExtraError, ReadError
from bothways.core.text.document_id import document_id
from bothways.indexer.read.case import MAX_PAGES, has_sections, is_case, read_case
from bothways.indexer.read.files.folder import Source
from bothways.indexer.read.pdf.lines import Page, body, page_lines, without_running_lines
from bothways.indexer.read.pdf.ocr import INSTALL_OCR, load_ocr, ocr_lines
from bothways.indexer.read.pdf.paragraphs import Paragraphs, mend, to_paragraphs
from bothways.indexer.read.pdf.tables import PageTable, page_tables

_PAGE_FILLING = 0.5
_DAMAGE = ("cannot load", "zlib error", "read error", "syntax error in content stream")
_MUPDF_ERRORS = (RuntimeError, ValueError, pymupdf.mupdf.FzErrorBase)


@dataclass(slots=True)
class _Left:
    """The numbers of pages that gave no text: nothing is on them, or an image, or they are damaged."""

    blank: list[int] = field(default_factory=list)
    scanned: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)


def read_pdf(source: Source) -> Iterator[Document]:
    """Read a PDF: a document for each page with text; a sentence belongs to the page it begins on.

    A report of the case library gives a document for each of its sections that are to be indexed.
    """
    left = _Left()
    found = False
    with _named_errors(), _open(source.data()) as pdf:
        if pdf.is_repaired:
            source.on_skip(source.relative, "The PDF is damaged, perhaps cut off; what is left of it is read.")
        pages = without_running_lines(_pages(pdf, source, left))
        for document in _documents(pdf, pages, source):
            found = True
            yield document
        total = pdf.page_count
    _report(source, left, total, found=found)


def _documents(pdf: Any, pages: Iterator[Page], source: Source) -> Iterator[Document]:  # noqa: ANN401
    if pdf.page_count > MAX_PAGES:
        return _by_page(pages, source)
    held = list(pages)
    claimed = is_case(held, (pdf.metadata or {}).get("title") or "")
    if has_sections(held):
        sections = list(read_case(source, held))
        if sections:
            return iter(sections)
    if not claimed:
        return _by_page(held, source)
    source.on_skip(source.relative, "The sections of this case report were not found: it is read page by page.")
    return _by_page(held, source, {"degraded": "sections"})


def _by_page(pages: Iterable[Page], source: Source, about: dict[str, str] | None = None) -> Iterator[Document]:
    texts = ((page, to_paragraphs(page.lines)) for page in pages)
    for (page, here), (_, there) in pairwise(chain(texts, [(None, Paragraphs(blocks=[]))])):
        mend(here, there)
        if page is None or not here.blocks:
            continue
        yield Document(
            doc_id=document_id(source.relative, page=page.number),
            title=source.stem,
            blocks=tuple(here.blocks),
            source=source.relative,
            heading=source.stem,
            metadata={"page": str(page.number), **({"ocr": "true"} if page.ocr else {}), **(about or {})},
        )


@contextmanager
def _named_errors() -> Iterator[None]:
    """Say of whatever MuPDF raises, as over a wrong number of pages, that the file is corrupt."""
    try:
        yield
    except _MUPDF_ERRORS as error:
        raise ReadError(f"The PDF is corrupt: {' '.join(str(error).split())[:200].rstrip('.')}.") from error


def _open(data: bytes) -> Any:  # noqa: ANN401  (pymupdf has no types)
    pymupdf.TOOLS.mupdf_display_errors(False)
    pymupdf.TOOLS.mupdf_display_warnings(False)
    pdf = pymupdf.open(stream=data, filetype="pdf")
    if pdf.needs_pass:
        pdf.close()
        raise ReadError("The PDF is encrypted: a password is needed to read it.")
    if not pdf.page_count:
        pdf.close()
        raise ReadError("The PDF is corrupt: it has no pages.")
    return pdf


def _pages(pdf: Any, source: Source, left: _Left) -> Iterator[Page]:  # noqa: ANN401
    """Read page after page, those without text too; what is wrong with one is reported, and the next is read."""
    above: PageTable | None = None
    for number in range(1, pdf.page_count + 1):
        source.alive()
        pymupdf.TOOLS.mupdf_warnings()  # empties the list: what is in it afterwards is this page's
        try:
            page, above = _page(pdf[number - 1], number, above, source, left)
        except (*_MUPDF_ERRORS, ReadError) as error:
            left.failed.append(number)
            source.fail(f"Page {number} cannot be read: {error}")
            continue
        damage = [line for line in pymupdf.TOOLS.mupdf_warnings().split("\n") if any(sign in line for sign in _DAMAGE)]
        if damage and not page.lines:
            left.failed.append(number)
            source.fail(f"Page {number} cannot be read: {damage[0]}.")
        elif damage:
            source.on_skip(source.relative, f"Page {number} is damaged, a part of it may be missing: {damage[0]}.")
        elif not page.lines and number not in left.scanned:
            left.blank.append(number)
        yield page


def _page(
    pdf_page: Any,  # noqa: ANN401
    number: int,
    above: PageTable | None,
    source: Source,
    left: _Left,
) -> tuple[Page, PageTable | None]:
    try:
        tables = page_tables(pdf_page, above)
    except (*_MUPDF_ERRORS, IndexError, TypeError, AttributeError, ReferenceError) as error:
        # The detector guesses at drawings; no text is lost where it stumbles, only the tables' order.
        source.on_skip(source.relative, f"The tables on page {number} are read as plain text: {error}")
        tables = []
    page = Page(number=number, height=pdf_page.rect.height, lines=page_lines(pdf_page, tables))
    if not body(page) and _is_image(pdf_page):
        try:
            page.lines = ocr_lines(pdf_page, load_ocr()) or page.lines
            page.ocr = True
        except MissingExtraError:
            left.scanned.append(number)
    return page, tables[-1] if tables else None


def _is_image(page: Any) -> bool:  # noqa: ANN401
    """Return whether images fill the page, as in a scan: one, or the strips that some scanners write."""
    area = sum(abs(pymupdf.Rect(image["bbox"]) & page.cropbox) for image in page.get_image_info())
    return bool(area >= _PAGE_FILLING * abs(page.cropbox))


def _report(source: Source, left: _Left, total: int, *, found: bool) -> None:
    scanned = f"{_named(left.scanned)} of {total}. OCR reads them: {INSTALL_OCR}."
    if not found and left.scanned:
        raise ReadError(f"The PDF is scanned, images without text: {scanned}")
    if not found and not left.failed:
        raise ReadError("The PDF has no text: its pages are blank, or drawn without letters.")
    if left.scanned:
        source.fail(f"Scanned images without text: {scanned}")
    if left.blank:
        source.on_skip(source.relative, f"No text on {_named(left.blank)} of {total}.")


def _named(numbers: Iterable[int]) -> str:
    """Name pages in short: pages 2, 5-7."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    named = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
    return f"page {named}" if named.isdecimal() else f"pages {named}"
