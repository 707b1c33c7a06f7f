"""EPUB: the chapters in reading order, each by the code that reads web pages; one document a section.

An EPUB is a ZIP archive of web pages with a list of them. The library for it, EbookLib, is AGPL and reads the whole
book with its pictures into memory; the list alone is read here.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urldefrag

from lxml import etree

from bothways.core.datatypes import Document
from bothways.core.errors import ReadError
from bothways.indexer.read.files.archive import check_archive, reading
from bothways.indexer.read.files.folder import Source
from bothways.indexer.read.files.metadata import to_metadata
from bothways.indexer.read.html import decode_html, html_sections
from bothways.indexer.read.markdown import Section, section_documents

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = {"application/xhtml+xml", "text/html", "text/x-oeb1-document"}
_NAV_TYPE = "{http://www.idpf.org/2007/ops}type"
_NCX = "application/x-dtbncx+xml"
_MAX_CHAPTER_MB = 10.0  # as a tree a page takes some fifty times its size


@dataclass(frozen=True, slots=True, kw_only=True)
class _Book:
    title: str
    author: str
    chapters: list[str]
    """The pages' names in the archive, in reading order."""
    contents: dict[str, str]
    """What the table of contents calls a page, by its name in the archive."""


def read_epub(source: Source) -> Iterator[Document]:
    """Read a book: a document for each heading of level 1 to 3 with text below it, or for a page without headings.

    A page without a heading is called what the table of contents calls it; if that does not know it, it goes on from
    the page before. The author is in the metadata.
    """
    check_archive(source, "EPUB", markup_mb=_MAX_CHAPTER_MB)
    sections: list[Section] = []
    with reading("EPUB"), zipfile.ZipFile(source.path) as archive:
        book = _open(archive)
        chapters = list(dict.fromkeys(book.chapters))
        if len(chapters) < len(book.chapters):
            source.on_skip(
                source.relative,
                f"{len(book.chapters) - len(chapters):,} entries list a chapter a second time; it is read once.",
            )
        for name in chapters:
            try:
                page = archive.read(name)
            except KeyError:
                source.fail(f"The chapter {name!r} is listed but not in the file.")
                continue
            if page.strip():
                sections.extend(_chapter(page, book.contents.get(name), sections[-1:]))
    yield from section_documents(source, book.title or source.stem, sections, to_metadata({"author": book.author}))


def _chapter(page: bytes, name: str | None, before: list[Section]) -> list[Section]:
    try:
        _, sections = html_sections(decode_html(page))
    except ReadError:  # a page without a word, as for a picture
        return []
    if name:
        sections[0].headings = {1: name}
    elif before:
        sections[0].headings = dict(before[0].headings)
    return sections


def _open(archive: zipfile.ZipFile) -> _Book:
    place = _first(_xml(archive, _CONTAINER), "rootfile", "full-path")
    package = _xml(archive, place)
    folder = posixpath.dirname(place)
    items = {item.get("id"): item for item in _all(package, "item")}
    order = [items[ref] for item in _all(package, "itemref") if (ref := item.get("idref")) in items]
    pages = [item for item in order if item.get("media-type") in _PAGES and not _is_contents(item)]
    chapters = [_inside(folder, page.get("href", "")) for page in pages]
    if not chapters:
        raise ReadError("The EPUB has no chapters.")
    locked = {_inside("", item.get("URI", "")) for item in _encrypted(archive)}
    if locked.intersection(chapters):
        raise ReadError("The EPUB is encrypted: its seller's copy protection (DRM) locks the text.")
    contents: dict[str, str] = {}
    for name in dict.fromkeys(_inside(folder, item.get("href", "")) for item in items.values() if _is_contents(item)):
        if name in archive.NameToInfo:
            contents |= _contents(_xml(archive, name), posixpath.dirname(name))
    return _Book(title=_text(package, "title"), author=_text(package, "creator"), chapters=chapters, contents=contents)


def _is_contents(item: etree._Element) -> bool:
    return item.get("media-type") == _NCX or "nav" in (item.get("properties") or "").split()


def _encrypted(archive: zipfile.ZipFile) -> list[etree._Element]:
    return _all(_xml(archive, _ENCRYPTION), "CipherReference") if _ENCRYPTION in archive.NameToInfo else []


def _contents(tree: etree._Element, folder: str) -> dict[str, str]:
    """Read a table of contents, of the old form (NCX) or the new (a page with links): the first name for each page."""
    names: dict[str, str] = {}
    for point in _all(tree, "navPoint"):
        target = _first(point, "content", "src")
        names.setdefault(_inside(folder, target), _text(point, "text"))
    navigations = _all(tree, "nav")
    own = [nav for nav in navigations if "toc" in (nav.get(_NAV_TYPE) or "").split()] or navigations
    for link in (link for nav in own for link in _all(nav, "a")):
        names.setdefault(_inside(folder, link.get("href", "")), " ".join("".join(link.itertext()).split()))
    return {name: label for name, label in names.items() if label}


def _xml(archive: zipfile.ZipFile, name: str) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
    root = etree.fromstring(archive.read(name), parser)
    if root is None:
        raise ValueError(f"{name} is no XML")
    return root


def _all(tree: etree._Element, name: str) -> list[etree._Element]:
    """Find all elements of a name, in whatever namespace."""
    return list(tree.iter(f"{{*}}{name}"))


def _first(tree: etree._Element, name: str, attribute: str) -> str:
    return next((value for element in _all(tree, name) if (value := element.get(attribute))), "")


def _text(tree: etree._Element, name: str) -> str:
    return next((text for e in _all(tree, name) if (text := " ".join("".join(e.itertext()).split()))), "")


def _inside(folder: str, href: str) -> str:
    """Return the archive's member that a link in that folder leads to."""
    return posixpath.normpath(posixpath.join(folder, unquote(urldefrag(href).url)))
