"""HTML: one document a section like Markdown; scripts, styles, navigation and footers are dropped."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from bs4 import BeautifulSoup, Tag
from bs4.element import PreformattedString

from core.datatypes import Document
from core.errors import ReadError
from indexer.read.encoding import decode
from indexer.read.folder import Source
from indexer.read.markdown import Section, first_heading, section_documents

_DROPPED = ["script", "style", "nav", "footer", "noscript", "template", "svg", "iframe", "head", "button", "select"]
_BLOCK_NAME = re.compile(
    "address|article|aside|blockquote|body|center|dd|details|div|dl|dt|fieldset|figcaption|figure|form|h[4-6]|header|hr|li|"
    "main|ol|p|pre|section|summary|table|tbody|td|th|tr|ul"
)
_SECTION_LEVELS = {"h1": 1, "h2": 2, "h3": 3}
_CHARSET = re.compile(rb"""<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?\s*([\w-]+)""", re.IGNORECASE)


def read_html(source: Source) -> Iterator[Document]:
    """Read a web page: a document for each h1 to h3 with text below it, and one for text before the first."""
    title, sections = html_sections(decode_html(source.data()))
    yield from section_documents(source, title or first_heading(sections) or source.stem, sections, {})


def html_sections(markup: str) -> tuple[str, list[Section]]:
    """Take a page apart: its title ("" if it has none), and its sections, the first without headings."""
    soup = BeautifulSoup(re.sub(r"^\s*<\?xml[^>]*\?>", "", markup), "lxml")
    title = _inline(soup.title.get_text()) if soup.title else ""
    for element in soup(_DROPPED):
        element.decompose()
    page = _Page()
    page.walk(soup)
    page.flush()
    return title, page.sections


class _Page:
    """Sections as they grow while the tree is walked: text gathers until a block element ends it."""

    def __init__(self) -> None:
        self.sections = [Section()]
        self._text: list[str] = []

    def flush(self) -> None:
        block = "\n".join(filter(None, map(_inline, "".join(self._text).split("\0"))))
        self._text.clear()
        if block:
            self.sections[-1].blocks.append(block)

    def walk(self, element: Tag) -> None:
        for child in element.children:
            if isinstance(child, Tag):
                self._enter(child)
            elif not isinstance(child, PreformattedString):  # comments, doctype, CDATA
                self._text.append(str(child))

    def _enter(self, tag: Tag) -> None:
        if tag.name == "br":
            self._text.append("\0")
        elif tag.name in _SECTION_LEVELS:
            self.flush()
            if name := _inline(tag.get_text()):
                self.sections.append(self.sections[-1].below(_SECTION_LEVELS[tag.name], name))
        elif tag.name in {"ul", "ol", "table", "pre"} and not tag.find(list(_SECTION_LEVELS)):
            self.flush()
            if block := _block(tag):
                self.sections[-1].blocks.append(block)
        elif _BLOCK_NAME.fullmatch(tag.name):
            self.flush()
            self.walk(tag)
            self.flush()
        else:
            self.walk(tag)


def _block(tag: Tag) -> str:
    if tag.name == "pre":
        return tag.get_text().strip("\n").rstrip()
    if tag.name == "table":
        rows = ([_inline(cell.get_text(" ")) for cell in row(["td", "th"], recursive=False)] for row in tag("tr"))
        return "\n".join(" | ".join(row) for row in rows if any(row)) or _inline(tag.get_text(" "))
    return "\n".join(_items(tag, 0))


def _items(tag: Tag, depth: int) -> Iterator[str]:
    """Yield a list's items, a line each; text that stands outside of any item is kept too."""
    for number, child in enumerate((child for child in tag.children if _inline(child.get_text())), start=1):
        nested: list[Tag] = []
        if isinstance(child, Tag):
            nested = [inner for inner in child(["ul", "ol"]) if inner.find_parent(["ul", "ol"]) is tag]
            nested = [inner.extract() for inner in nested]
        if text := _inline(child.get_text(" ") if isinstance(child, Tag) and child.find("p") else child.get_text()):
            yield f"{'  ' * depth}{f'{number}.' if tag.name == 'ol' else '-'} {text}"
        for inner in nested:
            yield from _items(inner, depth + 1)


def _inline(text: str) -> str:
    """White space as a browser shows it; a line break between Chinese characters is none."""
    text = re.sub(r"(?<=[\u2e80-\u9fff\uff00-\uffef])[ \t]*\r?\n\s*(?=[\u2e80-\u9fff\uff00-\uffef])", "", text)
    return re.sub(r"[\s\u200b]+", " ", text).strip()


def decode_html(data: bytes) -> str:
    """Turn a page's bytes into text, by what the page says of itself, where that decodes; else by the bytes."""
    match = _CHARSET.search(data[:4096])
    name = match[1].decode("ascii").lower() if match else ""
    wide = name.startswith(("utf-16", "utf-32"))  # cannot be true of bytes in which this very name was found
    if name and not wide and not data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return decode(data.decode("gb18030" if name in {"gb2312", "gbk"} else name).encode())
        except (LookupError, UnicodeError, ReadError):
            pass
    return decode(data)
