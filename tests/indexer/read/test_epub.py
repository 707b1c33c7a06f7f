"""EPUB: chapters in reading order, named by their headings or by the table of contents."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from bothways.indexer.read import document_id
from tests.indexer.reading import Reading, members

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
PAGE = '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head><body>{}</body></html>'
NAV = (
    '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><body>'
    '<nav epub:type="page-list"><ol><li><a href="c%201.xhtml">1</a></li></ol></nav><nav epub:type="toc"><ol>'
    '<li><a href="c%201.xhtml#top">序 言</a></li><li><a href="c%201.xhtml#end">尾</a></li></ol></nav></body></html>'
)
NCX = (
    '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>序言</text></navLabel>'
    '<content src="c%201.xhtml"/></navPoint></navMap></ncx>'
)


def make_epub(path: Path, pages: dict[str, str], *, nav: str = NAV, ncx: str = "", **more: str) -> Path:
    """Write a book whose pages are read in the order in which they are given."""
    items = "".join(
        f'<item id="i{n}" href="{name.replace(" ", "%20")}" media-type="application/xhtml+xml"/>'
        for n, name in enumerate(pages)
    )
    refs = "".join(f'<itemref idref="i{n}"/>' for n in range(len(pages)))
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<dc:title>仓库\n管理</dc:title><dc:creator>张三</dc:creator></metadata><manifest>{items}"
        '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
        '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
        '<item id="pic" href="p.png" media-type="image/png"/>'
        f'</manifest><spine toc="ncx"><itemref idref="nav"/>{refs}<itemref idref="pic"/></spine></package>'
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("OEBPS/book.opf", package)
        archive.writestr("OEBPS/nav.xhtml", nav)
        if ncx:
            archive.writestr("OEBPS/toc.ncx", ncx)
        for name, body in pages.items():
            archive.writestr(f"OEBPS/{name}", PAGE.format(body))
    return path


def test_chapters_in_reading_order_with_their_headings(tmp_path: Path) -> None:
    pages = {
        "z.xhtml": "<p>扉页。</p>",
        "c 1.xhtml": "<p>写在前面。</p>",
        "a.xhtml": "<h1>入库</h1><p>登记。</p><h2>验收</h2><ul><li>数量</li></ul>",
        "b.xhtml": "<p>接上页。</p><h1>出库</h1><p>核对。</p>",
        "pic.xhtml": '<img src="p.png"/>',
    }
    reading = Reading(make_epub(tmp_path / "a.epub", pages))
    assert reading.headings == [
        "仓库 管理",
        "仓库 管理 › 序 言",
        "仓库 管理 › 入库",
        "仓库 管理 › 入库 › 验收",
        "仓库 管理 › 入库 › 验收",
        "仓库 管理 › 出库",
    ]
    assert reading.blocks == [("扉页。",), ("写在前面。",), ("登记。",), ("- 数量",), ("接上页。",), ("核对。",)]
    assert {document.title for document in reading.documents} == {"仓库 管理"}
    assert reading.documents[2].metadata == {"author": "张三", "section": "入库"}
    assert reading.documents[0].doc_id == document_id("a.epub", record=0)
    assert not reading.failures
    assert not reading.skipped


def test_an_old_table_of_contents(tmp_path: Path) -> None:
    path = make_epub(tmp_path / "a.epub", {"c 1.xhtml": "<p>文。</p>"}, nav=PAGE.format(""), ncx=NCX)
    assert Reading(path).headings == ["仓库 管理 › 序言"]


def test_a_missing_chapter_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = make_epub(tmp_path / "a.epub", {"a.xhtml": "<p>甲。</p>", "b.xhtml": "<p>乙。</p>"})
    with members(path) as parts:
        del parts["OEBPS/a.xhtml"]
    reading = Reading(path)
    assert reading.blocks == [("乙。",)]
    assert reading.failures == ["The chapter 'OEBPS/a.xhtml' is listed but not in the file."]


@pytest.mark.parametrize(("locked", "is_read"), [("OEBPS/a.xhtml", False), ("OEBPS/fonts/f.otf", True)])
def test_copy_protection_is_named_and_hidden_fonts_do_not_matter(tmp_path: Path, locked: str, is_read: bool) -> None:
    path = make_epub(tmp_path / "a.epub", {"a.xhtml": "<p>甲。</p>"})
    with members(path) as parts:
        parts["META-INF/encryption.xml"] = (
            '<encryption xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData><enc:CipherData>'
            f'<enc:CipherReference URI="{locked}"/></enc:CipherData></enc:EncryptedData></encryption>'
        ).encode()
    reading = Reading(path)
    assert bool(reading.documents) is is_read
    assert is_read or "copy protection (DRM)" in reading.failure


def test_what_is_no_book(tmp_path: Path) -> None:
    path = tmp_path / "a.epub"
    for data, reason in ((b"", "The file is empty."), (b"text", "The EPUB is corrupt: File is not a zip file.")):
        path.write_bytes(data)
        assert Reading(path).failure == reason
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a")
    assert "The EPUB is corrupt" in Reading(path).failure
    assert Reading(make_epub(path, {})).failure == "The EPUB has no chapters."
    assert "is empty" in Reading(make_epub(path, {"a.xhtml": ""})).failure


def test_a_chapter_that_is_a_bomb_and_one_that_links_outside(tmp_path: Path) -> None:
    path = make_epub(tmp_path / "a.epub", {"a.xhtml": "<p>甲。</p>"})
    with members(path) as parts:
        parts["OEBPS/a.xhtml"] = b"<p>" * 4_000_000
    assert "'OEBPS/a.xhtml' has 12 MB of markup" in Reading(path, max_file_mb=100).failure
    make_epub(path, {"../../../../etc/hostname": "<p>甲。</p>"})
    assert Reading(path).failures[0] == "The chapter '../../../etc/hostname' is listed but not in the file."
