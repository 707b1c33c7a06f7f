"""Word (.docx, .docm): one document a section, as in Markdown; tables and text boxes where they stand, in order.

What Word counts or keeps apart is put back: the numbers of lists and headings, footnotes, content controls, accepted
and open insertions. What it only shows (table of contents, headers, footers, comments) and what is struck out is not
taken. A page number is that of the last layout that Word saved, where it saved one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from docx.opc.constants import CONTENT_TYPE, RELATIONSHIP_TYPE
from docx.opc.part import PartFactory
from docx.oxml.parser import parse_xml
from docx.package import Package
from docx.parts.document import DocumentPart

from bothways.core.datatypes import Document
from bothways.core.errors import ReadError
from bothways.indexer.read.files.archive import check_archive, reading
from bothways.indexer.read.files.folder import Source
from bothways.indexer.read.markdown import Section, section_documents
from bothways.indexer.read.office.numbering import Numbering, W
from bothways.indexer.read.office.tables import table_blocks
from bothways.indexer.read.statute import is_statute, read_statute

_MACRO_MAIN = "application/vnd.ms-word.document.macroEnabled.main+xml"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_HEADING = re.compile(r"(?:heading|标题|標題)\s*([1-9])$", re.IGNORECASE)
_TITLE, _CONTENTS = -1, -2
_SECTION_LEVELS = 3
_MAX_REPEATED = 1_000_000
"""Characters that stand again in the rows into which merged cells reach; beyond, they stand in the first row alone."""
_MAX_HEADING = 200

_WRAPPERS = {f"{W}{name}" for name in ("ins", "moveTo", "customXml", "smartTag", "sdtContent")}
_PASSED_OVER = {f"{W}{name}" for name in ("del", "moveFrom", "pPr", "rPr", "instrText", "sectPr")} | {_FALLBACK}
_CHARACTERS = {f"{W}{name}": char for name, char in (("tab", " "), ("cr", "\n"), ("noBreakHyphen", "-"))}

PartFactory.part_type_for[_MACRO_MAIN] = DocumentPart  # python-docx knows only the kind without macros


def read_docx(source: Source) -> Iterator[Document]:
    """Read a Word file: a document for each heading of level 1 to 3 with text below it; a statute by its articles.

    The title is the paragraph in style "Title", else the only heading of level 1, else the file's name.
    """
    check_archive(source, "Word file")
    with reading("Word file"):
        body = _Body(Package.open(str(source.path)).main_document_part)
        body.walk()
    if body.repeated > _MAX_REPEATED:
        source.on_skip(source.relative, "The text of merged cells is not repeated in every row that they span.")
    text = "\n".join(body.lines)
    if is_statute(text):
        yield from read_statute(source, text)
        return
    tops = {section.headings[1] for section in body.sections if 1 in section.headings}
    title = body.title or (tops.pop() if len(tops) == 1 else source.stem)
    yield from section_documents(source, title, body.sections, {})


@dataclass(frozen=True, slots=True)
class _Style:
    level: int = 0
    """The level of a heading from 1; 0 for other text, or one of `_TITLE` and `_CONTENTS`."""
    numbered: tuple[str, int] | None = None
    """The list and the level in it that paragraphs of this style are counted in."""


class _Body:
    """Sections as they grow while the document is walked from its start to its end."""

    def __init__(self, part: Any) -> None:  # noqa: ANN401  (a generic part where the file is of another kind)
        if part.content_type not in {CONTENT_TYPE.WML_DOCUMENT_MAIN, _MACRO_MAIN}:
            raise ReadError(f"The file is not a Word document but {part.content_type!r}.")
        self.title = ""
        self.sections = [Section()]
        self.lines: list[str] = []
        self._root = part.element.body
        self._styles = _styles(part.styles.element)
        self._numbering = Numbering(_related(part, RELATIONSHIP_TYPE.NUMBERING))
        self._notes = {
            (kind, note.get(f"{W}id")): note
            for kind, reltype in (("footnote", RELATIONSHIP_TYPE.FOOTNOTES), ("endnote", RELATIONSHIP_TYPE.ENDNOTES))
            if (root := _related(part, reltype)) is not None
            for note in root.iterchildren(f"{W}{kind}")
        }
        self._breaks = 0
        self._paged = next(self._root.iter(f"{W}lastRenderedPageBreak"), None) is not None
        self._later: list[Any] = []
        self.repeated = 0

    def walk(self) -> None:
        self._blocks(self._root)
        if not any(section.blocks for section in self.sections):
            raise ReadError("The Word file is empty: it has no text below its headings.")

    def _blocks(self, parent: Any) -> None:  # noqa: ANN401
        for child in parent.iterchildren():
            if child.tag == f"{W}p":
                if len(child):
                    self._paragraph(child)
            elif child.tag == f"{W}tbl":
                self._table(child)
            elif child.tag == f"{W}sdt":
                if not _is_contents(child):
                    self._blocks(child)
            elif child.tag in _WRAPPERS:
                self._blocks(child)

    def _paragraph(self, paragraph: Any) -> None:  # noqa: ANN401
        text, page = self._text(paragraph)
        style = self._style(paragraph)
        label = self._label(paragraph, style)
        if text and style.level != _CONTENTS:
            self._take(f"{label} {text}" if label else text, style.level, page)
        later, self._later = self._later, []
        for element in later:
            self._blocks(element)

    def _take(self, text: str, level: int, page: str) -> None:
        self.lines.extend(text.split("\n"))
        if level == _TITLE and not self.title and len(text) <= _MAX_HEADING:
            self.title = " ".join(text.split())
        elif 1 <= level <= _SECTION_LEVELS and len(text) <= _MAX_HEADING:
            self.sections.append(self.sections[-1].below(level, " ".join(text.split())))
            self._note_page(page)
        else:
            self._note_page(page)
            self.sections[-1].blocks.append(text)

    def _note_page(self, page: str) -> None:
        if self._paged:
            self.sections[-1].metadata.setdefault("page", page)

    def _table(self, table: Any) -> None:  # noqa: ANN401
        page = str(self._breaks + 1)
        rows: list[list[str]] = []
        above: dict[int, str] = {}
        for row in _within(table, "tr"):
            cells: list[str] = []
            column = 0
            for cell in _within(row, "tc"):
                if cell.vMerge != "continue":
                    above[column] = self._cell(cell)
                    cells.append(above[column])
                else:
                    again = above.get(column, "")
                    self.repeated += len(again)
                    cells.append(again if self.repeated <= _MAX_REPEATED else "")
                column += _span(cell)
            rows.append(cells)
        blocks = table_blocks(rows, header=_has_header(table))
        if blocks:
            self._note_page(page)
        self.sections[-1].blocks.extend(blocks)
        self.lines.extend(blocks)
        later, self._later = self._later, []
        for element in later:
            self._blocks(element)

    def _cell(self, cell: Any) -> str:  # noqa: ANN401
        """Return the text of a cell, with that of tables inside it."""
        texts: list[str] = []
        for child in cell.iterchildren():
            if child.tag == f"{W}p":
                label = self._label(child, self._style(child))
                text, _ = self._text(child)
                texts.append(f"{label} {text}" if label and text else text)
            elif child.tag == f"{W}tbl":
                texts.extend(" ".join(map(self._cell, _within(row, "tc"))) for row in _within(child, "tr"))
            elif child.tag == f"{W}sdt" or child.tag in _WRAPPERS:
                texts.append(self._cell(child))
        return " ".join(filter(None, texts))

    def _text(self, paragraph: Any) -> tuple[str, str]:  # noqa: ANN401
        """Return the text of a paragraph and the page it begins on; note its text boxes and footnotes for later."""
        pieces: list[str] = []
        page = ""

        def visit(element: Any) -> None:  # noqa: ANN401
            nonlocal page
            for child in element.iterchildren():
                tag = child.tag
                if tag in {f"{W}t", _MATH_TEXT}:
                    pieces.append(child.text or "")
                    page = page or str(self._breaks + 1)
                elif tag in _CHARACTERS:
                    pieces.append(_CHARACTERS[tag])
                elif tag == f"{W}br":
                    pieces.append("" if child.get(f"{W}type") in {"page", "column"} else "\n")
                elif tag == f"{W}lastRenderedPageBreak":
                    self._breaks += 1
                elif tag == f"{W}txbxContent":
                    self._later.append(child)
                elif tag in {f"{W}footnoteReference", f"{W}endnoteReference"}:
                    note = self._notes.pop((tag.removeprefix(W).removesuffix("Reference"), child.get(f"{W}id")), None)
                    self._later.extend([] if note is None else [note])
                elif tag not in _PASSED_OVER:
                    visit(child)

        visit(paragraph)
        return "".join(pieces).strip(), page

    def _style(self, paragraph: Any) -> _Style:  # noqa: ANN401
        own = paragraph.pPr
        name = own.find(f"{W}pStyle") if own is not None else None
        style = self._styles.get(name.get(f"{W}val") if name is not None else "", _Style())
        outline = own.find(f"{W}outlineLvl") if own is not None else None
        if outline is not None and style.level >= 0:
            style = _Style(_outline(outline), style.numbered)
        return style

    def _label(self, paragraph: Any, style: _Style) -> str:  # noqa: ANN401
        """Count the paragraph, if it stands in a list: by its own word, else by that of its style."""
        numbered = _numbered(paragraph.pPr, style.numbered)
        return self._numbering.label(*numbered) if numbered else ""


def _styles(root: Any) -> dict[str, _Style]:  # noqa: ANN401
    """Resolve each paragraph style to what it says, or the style that it is based on."""
    elements = {style.get(f"{W}styleId"): style for style in root.iterchildren(f"{W}style")}

    resolved: dict[str | None, _Style] = {}
    for first in elements:
        style_id = first
        path: list[str | None] = []
        on_path: set[str | None] = set()
        while style_id in elements and style_id not in resolved and style_id not in on_path:
            path.append(style_id)
            on_path.add(style_id)
            below = elements[style_id].find(f"{W}basedOn")
            style_id = below.get(f"{W}val") if below is not None else None
        base = resolved.get(style_id, _Style())
        for above in reversed(path):
            base = resolved[above] = _style(elements[above], base)
    return {style_id: style for style_id, style in resolved.items() if style_id}


def _style(element: Any, base: _Style) -> _Style:  # noqa: ANN401
    """Read what a style says itself; the rest is that of the style it is based on."""
    properties = element.find(f"{W}pPr")
    name = element.find(f"{W}name")
    level = _level(name.get(f"{W}val", "") if name is not None else "", properties)
    return _Style(base.level if level is None else level, _numbered(properties, base.numbered))


def _span(cell: Any) -> int:  # noqa: ANN401
    """Return the number of columns that a cell takes; 1 where the file does not say it in a number."""
    properties = cell.tcPr
    span = properties.find(f"{W}gridSpan") if properties is not None else None
    value = span.get(f"{W}val", "") if span is not None else ""
    return int(value) if value.isdecimal() and len(value) < 7 else 1


def _level(name: str, properties: Any) -> int | None:  # noqa: ANN401
    if match := _HEADING.match(name.strip()):
        return int(match[1])
    if name.lower() in {"title", "标题", "標題"}:
        return _TITLE
    if name.lower().startswith("toc "):
        return _CONTENTS
    outline = properties.find(f"{W}outlineLvl") if properties is not None else None
    return None if outline is None else _outline(outline)


def _outline(element: Any) -> int:  # noqa: ANN401
    """Make a heading's level of an outline level, in which 0 is the highest and 9 is plain text."""
    value = element.get(f"{W}val", "")
    return int(value) + 1 if value in set("012345678") else 0


def _numbered(properties: Any, base: tuple[str, int] | None) -> tuple[str, int] | None:  # noqa: ANN401
    numbering = properties.find(f"{W}numPr") if properties is not None else None
    if numbering is None:
        return base
    found = {child.tag: child.get(f"{W}val", "") for child in numbering.iterchildren()}
    num_id = found.get(f"{W}numId", base[0] if base else "")
    level = found.get(f"{W}ilvl", str(base[1] if base else 0))
    return (num_id, int(level)) if num_id not in {"", "0"} and level in set("012345678") else None


def _within(parent: Any, name: str) -> Iterator[Any]:  # noqa: ANN401
    """Yield the rows of a table or the cells of a row, those in content controls and insertions too."""
    for child in parent.iterchildren():
        if child.tag == f"{W}{name}":
            yield child
        elif child.tag == f"{W}sdt" or child.tag in _WRAPPERS:
            yield from _within(child, name)


def _has_header(table: Any) -> bool:  # noqa: ANN401
    """Return whether the first row is a header: it repeats on each page, or the table's look sets it off."""
    first = next(_within(table, "tr"), None)
    if first is None:
        return False
    look = next(table.iter(f"{W}tblLook"), None)
    marked = next(first.iter(f"{W}tblHeader"), None)
    return marked is not None or (look is not None and look.get(f"{W}firstRow") in {"1", "true", "on"})


def _is_contents(control: Any) -> bool:  # noqa: ANN401
    gallery = next(control.iter(f"{W}docPartGallery"), None)
    return gallery is not None and gallery.get(f"{W}val") == "Table of Contents"


def _related(part: Any, reltype: str) -> Any | None:  # noqa: ANN401
    """Parse the part that stands in that relation to the document, if there is one."""
    for relation in part.rels.values():
        if relation.reltype == reltype and not relation.is_external:
            return parse_xml(relation.target_part.blob)
    return None
