"""HTML: one document a section like Markdown; scripts, styles, navigation and footers are dropped."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from bs4 import BeautifulSoup, Tag
from bs4.element import PageElement, PreformattedString

from bothways.core.datatypes import Document
from bothways.core.errors import ReadError
from bothways.indexer.read.files.encoding import decode
from bothways.indexer.read.files.folder import Source
from bothways.indexer.read.markdown import Section, first_heading, section_documents

_DROPPED = ["script", "style", "nav", "footer", "noscript", "template", "svg", "iframe", "head", "button", "select"]
_BLOCK_NAME = re.compile(
    "address|article|aside|blockquote|body|center|dd|details|div|dl|dt|fieldset|figcaption|figure|form|h[4-6]|header|hr|li|"
    "main|ol|p|pre|section|summary|table|tbody|td|th|tr|ul"
)
_SECTION_LEVELS = {"h1": 1, "h2": 2, "h3": 3}
_LISTS = frozenset({"ul", "ol"})
_MAX_TAGS = 1_000_000
"""Tags of a page, opening and closing ones: as a tree, each takes half a kilobyte."""
_MAX_INDENT = 20
"""Levels of lists that are shown by an indent: deeper ones have that of the last, or the indents outweigh the text."""
_MAX_TABLES = 5
"""Levels of tables in tables whose rows are given on their own; deeper ones only stand in the cells that hold them."""
_CHARSET = re.compile(rb"""<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?\s*([\w-]+)""", re.IGNORECASE)


def read_html(source: Source) -> Iterator[Document]:
    """Read a web page: a document for each h1 to h3 with text below it, and one for text before the first."""
    title, sections = html_sections(decode_html(source.data()))
    yield from section_documents(source, title or first_heading(sections) or source.stem, sections, {})


def html_sections(markup: str) -> tuple[str, list[Section]]:
    """Take a page apart: its title ("" if it has none), and its sections, the first without headings.

    Takes time in proportion to the page's length, however its elements are nested. Raises `ReadError` for one of more
    than a million tags.
    """
    if (tags := markup.count("<")) > _MAX_TAGS:
        raise ReadError(f"The page has {tags:,} tags, and more than {_MAX_TAGS:,} are not taken into memory: split it.")
    soup = BeautifulSoup(re.sub(r"^\s*<\?xml[^>]*\?>", "", markup), "lxml")
    title = _inline(soup.title.get_text()) if soup.title else ""
    for element in soup(_DROPPED):
        element.decompose()
    page = _Page(_with_headings(soup))
    page.walk(soup)
    page.flush()
    return title, page.sections


def _with_headings(soup: BeautifulSoup) -> set[int]:
    """Return the `id`s of the elements that have headings of sections somewhere within."""
    found: set[int] = set()
    for heading in soup(list(_SECTION_LEVELS)):
        for above in heading.parents:
            if id(above) in found:
                break
            found.add(id(above))
    return found


class _Page:
    """Sections as they grow while the tree is walked: text gathers until a block element ends it."""

    def __init__(self, with_headings: set[int]) -> None:
        self.sections = [Section()]
        self._with_headings = with_headings
        self._text: list[str] = []

    def flush(self) -> None:
        block = "\n".join(filter(None, map(_inline, "".join(self._text).split("\0"))))
        self._text.clear()
        if block:
            self.sections[-1].blocks.append(block)

    def walk(self, element: Tag) -> None:
        """Take the text below an element. Not by recursion: pages nest deeper than Python's calls may."""
        path: list[tuple[Iterator[PageElement], bool]] = [(element.children, False)]
        while path:
            children, is_block = path[-1]
            child = next(children, None)
            if child is None:
                path.pop()
                if is_block:
                    self.flush()
            elif not isinstance(child, Tag):
                if not isinstance(child, PreformattedString):  # comments, doctype, CDATA
                    self._text.append(str(child))
            elif not self._took(child):
                is_block = _BLOCK_NAME.fullmatch(child.name) is not None
                if is_block:
                    self.flush()
                path.append((child.children, is_block))

    def _took(self, tag: Tag) -> bool:
        """Take an element as a whole, if it is of that kind."""
        if tag.name == "br":
            self._text.append("\0")
        elif tag.name in _SECTION_LEVELS:
            self.flush()
            if name := _inline(tag.get_text()):
                self.sections.append(self.sections[-1].below(_SECTION_LEVELS[tag.name], name))
        elif tag.name in {*_LISTS, "table", "pre"} and id(tag) not in self._with_headings:
            self.flush()
            if block := _block(tag):
                self.sections[-1].blocks.append(block)
        else:
            return False
        return True


def _block(tag: Tag) -> str:
    if tag.name == "pre":
        return tag.get_text().strip("\n").rstrip()
    if tag.name == "table":
        rows = ([_inline(cell.get_text(" ")) for cell in row(["td", "th"], recursive=False)] for row in _rows(tag))
        return "\n".join(" | ".join(row) for row in rows if any(row)) or _inline(tag.get_text(" "))
    return "\n".join(_items(tag))


def _rows(table: Tag) -> Iterator[Tag]:
    """Yield the rows of a table and of the tables in its cells, down to `_MAX_TABLES`."""
    path = [table.children]
    depth = 1
    names = [table.name]
    while path:
        child = next(path[-1], None)
        if child is None:
            path.pop()
            depth -= names.pop() == "table"
        elif isinstance(child, Tag) and not (child.name == "table" and depth == _MAX_TABLES):
            if child.name == "tr":
                yield child
            path.append(child.children)
            names.append(child.name)
            depth += child.name == "table"


@dataclass(slots=True, kw_only=True)
class _List:
    """A list whose items are being read: those that are left, and how many have text."""

    ordered: bool
    children: Iterator[PageElement]
    nested: list[Tag] = field(default_factory=list)
    """The lists in the item that was read last, the first one at the end."""
    number: int = 0
    line: int = 0
    """Where the line of the item that was read last stands, or would stand."""
    counted: bool = True


def _items(tag: Tag) -> list[str]:
    """Return a list's items, a line each; text that stands outside of any item is kept too.

    Each text is looked at once: that of an item without that of the lists in it.
    """
    lines: list[str] = []
    path = [_List(ordered=tag.name == "ol", children=tag.children)]
    while path:
        top = path[-1]
        if top.nested:
            inner = top.nested.pop()
            path.append(_List(ordered=inner.name == "ol", children=inner.children))
            continue
        if not top.counted and len(lines) > top.line:  # an item that has no text but that of its lists
            top.number += 1
        top.counted = True
        child = next(top.children, None)
        if child is None:
            path.pop()
            continue
        text, top.nested = _item(child)
        top.line, top.counted = len(lines), bool(text)
        if text:
            top.number += 1
            indent = "  " * min(len(path) - 1, _MAX_INDENT)
            lines.append(f"{indent}{f'{top.number}.' if top.ordered else '-'} {text}")
    return lines


def _item(child: PageElement) -> tuple[str, list[Tag]]:
    """Return the text of a list's item without that of the lists in it, and those lists, the last one first."""
    if not isinstance(child, Tag) or child.name in _LISTS:
        has_paragraphs = isinstance(child, Tag) and child.find("p") is not None
        return _inline(child.get_text(" " if has_paragraphs else "")), []
    texts: list[str] = []
    nested: list[Tag] = []
    has_paragraphs = False
    path = [child.children]
    while path:
        below = next(path[-1], None)
        if below is None:
            path.pop()
        elif not isinstance(below, Tag):
            texts.append(below.get_text())
        elif below.name in _LISTS:
            nested.append(below)
        else:
            has_paragraphs = has_paragraphs or below.name == "p"
            path.append(below.children)
    return _inline((" " if has_paragraphs else "").join(texts)), nested[::-1]


def _inline(text: str) -> str:
    """Return text with white space as a browser shows it; line breaks between Chinese characters are dropped."""
    text = re.sub(r"(?<=[\u2e80-\u9fff\uff00-\uffef])[ \t]*\r?\n\s*(?=[\u2e80-\u9fff\uff00-\uffef])", "", text)
    return re.sub(r"[\s\u200b]+", " ", text).strip()


def decode_html(data: bytes) -> str:
    """Return a page's bytes as text: by the encoding that it declares if that decodes, else by the bytes."""
    match = _CHARSET.search(data[:4096])
    name = match[1].decode("ascii").lower() if match else ""
    wide = name.startswith(("utf-16", "utf-32"))  # cannot be true of bytes in which this very name was found
    if name and not wide and not data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return decode(data.decode("gb18030" if name in {"gb2312", "gbk"} else name).encode())
        except (LookupError, UnicodeError, ReadError):
            pass
    return decode(data)
