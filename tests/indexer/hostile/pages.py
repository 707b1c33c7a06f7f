"""Hostile web pages, books made of them, and mails."""

from __future__ import annotations

from collections.abc import Iterator

from tests.indexer.hostile.archives import zipped
from tests.indexer.hostile.hostile_file import Hostile


def _lists(depth: int, kind: bytes = b"ul") -> bytes:
    return b"<%s><li>item" % kind * depth


def html() -> Iterator[Hostile]:
    yield Hostile(name="lists.html", make=lambda: _lists(400), reads="item")
    yield Hostile(name="lists_8k.html", make=lambda: b"<ul><li>x" * 900, reads="x")
    yield Hostile(name="lists_32k.html", make=lambda: b"<ul><li>x" * 3_600, reads="x")
    yield Hostile(name="closed_lists.html", make=lambda: b"<ol><li>x" * 3_000 + b"</li></ol>" * 3_000, reads="x")
    yield Hostile(name="bare_lists.html", make=lambda: b"<ul>x" * 5_000, reads="x")
    yield Hostile(name="tags.html", make=lambda: b"<b>" * 100_000 + b"text", reads="text")
    yield Hostile(name="divs.html", make=lambda: b"<div>" * 100_000 + b"text", reads="text")
    yield Hostile(name="tables.html", make=lambda: b"<table><tr><td>x" * 5_000, reads="x")
    yield Hostile(
        name="closed_tables.html", make=lambda: b"<table><tr><td>x" * 2_000 + b"</td></tr></table>" * 2_000, reads="x"
    )
    yield Hostile(
        name="colspan.html",
        make=lambda: b"<table><tr><td colspan=1000000 rowspan=1000000>x</td></tr></table>",
        reads="x",
    )
    yield Hostile(name="long_list.html", make=lambda: b"<ul>" + b"<li>x</li>" * 40_000, reads="x")
    yield Hostile(name="long_table.html", make=lambda: b"<table>" + b"<tr><td>x" * 25_000, reads="x")
    yield Hostile(name="list_blocks.html", make=lambda: b"<ul><li><p>x</p></li>" * 2_000, reads="x")
    yield Hostile(
        name="attributes.html",
        make=lambda: b"<p " + b" ".join(b"a%d=b" % n for n in range(100_000)) + b">text",
        reads="text",
    )
    yield Hostile(name="breaks.html", make=lambda: b"<p>x" + b"<br>" * 200_000 + b"text", reads="text", megabytes=1_000)
    yield Hostile(name="many_tags.html", make=lambda: b"<b>" * 5_000_000, failure="tags")
    yield Hostile(name="many_paragraphs.html", make=lambda: b"<p>x" * 2_000_000, failure="tags")
    yield Hostile(name="spaces.html", make=lambda: b"<p>x" + b" " * 5_000_000 + b"text", reads="text")
    yield Hostile(name="line_ends.html", make=lambda: ("<p>中" + " \n" * 1_000_000 + "x text").encode(), reads="text")
    yield Hostile(name="blanks.html", make=lambda: ("<p>中" + " " * 300_000 + "x text").encode(), reads="text")
    yield Hostile(name="blanks_of_han.html", make=lambda: ("<p>" + "中 " * 80_000 + "x text").encode(), reads="text")
    yield Hostile(name="prolog.html", make=lambda: b" " * 2_000_000 + b"<p>text", reads="text")
    yield Hostile(name="xml_prolog.html", make=lambda: b"<?xml " * 200_000 + b"?><p>text", reads="text")
    yield Hostile(name="entities.html", make=lambda: b"<p>" + b"&amp;" * 500_000 + b"text", reads="text")
    yield Hostile(name="unclosed.html", make=lambda: b"<p>text " + b"<" * 500_000, reads="text")
    yield Hostile(name="comments.html", make=lambda: b"<p>text" + b"<!--" * 300_000, reads="text")
    yield Hostile(name="scripts.html", make=lambda: b"<p>text" + b"<script>" * 100_000, reads="text")
    yield Hostile(name="dropped.html", make=lambda: b"<p>text" + b"<nav>" * 20_000 + b"x", reads="text")
    yield Hostile(name="headings.html", make=lambda: b"<h1>a" * 5_000 + b"<p>text", reads="text")
    yield Hostile(name="headings_apart.html", make=lambda: b"<h1>a</h1><p>text</p>" * 20_000, reads="text")
    yield Hostile(name="lists_with_headings.html", make=lambda: b"<ul><li>x" * 400 + b"<h1>a</h1>text", reads="text")
    yield Hostile(name="misnested.html", make=lambda: b"<a><table>" * 3_000 + b"text", reads="text")
    yield Hostile(name="formatting.html", make=lambda: b"<p><b><i><u><s>x" * 5_000, reads="x")
    yield Hostile(name="charset.html", make=lambda: b"<meta " + b"charset=" * 100_000 + b"><p>text", reads="text")
    yield Hostile(name="bomb_charset.html", make=lambda: b"<meta charset=zip><p>text", reads="text")
    yield Hostile(
        name="codec_charset.html", make=lambda: b"<meta charset=idna><p>text " + b"a" * 1_000_000, reads="text"
    )
    yield Hostile(
        name="punycode_charset.html", make=lambda: b"<meta charset=punycode><p>text " + b"a-9" * 100_000, reads="text"
    )


_EPUB = {
    "META-INF/container.xml": b'<container><rootfiles><rootfile full-path="c.opf"/></rootfiles></container>',
    "c.opf": b'<package><manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
    b'<spine><itemref idref="a"/></spine></package>',
    "a.xhtml": b"<html><body><p>text</p></body></html>",
}


def _book(**changed: bytes) -> bytes:
    names = {"opf": "c.opf", "page": "a.xhtml", "container": "META-INF/container.xml"}
    return zipped(_EPUB | {names[key]: data for key, data in changed.items()})


def _package(manifest: bytes, spine: bytes) -> bytes:
    return b"<package><manifest>" + manifest + b"</manifest><spine>" + spine + b"</spine></package>"


_ITEM = b'<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'


def epub() -> Iterator[Hostile]:
    refs = b'<itemref idref="a"/>'
    entities = b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(20)
    )
    yield Hostile(
        name="same_chapter.epub",
        make=lambda: _book(opf=_package(_ITEM, refs * 100_000)),
        reads="text",
        skipped="chapter",
    )
    yield Hostile(
        name="large_chapter_often.epub",
        make=lambda: _book(opf=_package(_ITEM, refs * 300), page=b"<p>text</p>" * 20_000),
        reads="text",
        skipped="chapter",
    )
    yield Hostile(name="tags.epub", make=lambda: _book(page=b"<b>" * 3_000_000), failure="tags|empty")
    yield Hostile(name="lists.epub", make=lambda: _book(page=b"<ul><li>x" * 3_600), reads="x")
    yield Hostile(
        name="items.epub", make=lambda: _book(opf=_package(_ITEM + b"<item/>" * 1_000_000, refs)), reads="text"
    )
    yield Hostile(
        name="deep_package.epub",
        make=lambda: _book(opf=b"<a>" * 100_000 + _package(_ITEM, refs)),
        failure="no chapters",
    )
    yield Hostile(
        name="entity_bomb.epub", make=lambda: _book(opf=entities + b"]>" + _package(_ITEM, refs + b"&u;")), reads="text"
    )
    yield Hostile(name="entity_bomb_page.epub", make=lambda: _book(page=entities + b"]><p>text&u;"), reads="text")
    nav = b'<item id="n" href="n.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
    yield Hostile(
        name="contents.epub",
        make=lambda: zipped(
            _EPUB
            | {"c.opf": _package(_ITEM + nav, refs), "n.xhtml": b"<a>" + b"<nav>" * 2_000 + b'<a href="a">x</a>' * 500}
        ),
        reads="text",
    )
    ncx = b'<item id="n" href="n.ncx" media-type="application/x-dtbncx+xml"/>'
    yield Hostile(
        name="nav_points.epub",
        make=lambda: zipped(_EPUB | {"c.opf": _package(_ITEM + ncx, refs), "n.ncx": b"<ncx>" + b"<navPoint>" * 20_000}),
        reads="text",
    )
    yield Hostile(
        name="nav_points_flat.epub",
        make=lambda: zipped(
            _EPUB | {"c.opf": _package(_ITEM + ncx, refs), "n.ncx": b"<ncx>" + b"<navPoint/>" * 100_000 + b"</ncx>"}
        ),
        reads="text",
    )
    yield Hostile(
        name="same_contents.epub",
        make=lambda: zipped(
            _EPUB
            | {
                "c.opf": _package(_ITEM + b"".join(ncx.replace(b'"n"', b'"n%d"' % n) for n in range(3_000)), refs),
                "n.ncx": b"<ncx>" + b"<navPoint/>" * 5_000 + b"</ncx>",
            }
        ),
        reads="text",
    )


def _mail(body: bytes, headers: bytes = b"") -> bytes:
    return b"From: a@b\nSubject: hello\n" + headers + b"\n" + body


def _nested(depth: int) -> bytes:
    mail = b"From: a@b\nSubject: last\n\ntext\n"
    for _ in range(depth):
        mail = b"From: a@b\nSubject: hello\nContent-Type: message/rfc822\n\n" + mail
    return mail


def _multiparts(depth: int) -> bytes:
    begin = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(depth))
    return b"From: a@b\nSubject: hello\n" + begin + b"Content-Type: text/plain\n\ntext\n"


def mails() -> Iterator[Hostile]:
    mixed = b'Content-Type: multipart/mixed; boundary="b"\n'
    yield Hostile(name="nested.eml", make=lambda: _nested(1_000), failure="nested")
    yield Hostile(name="nested_100.eml", make=lambda: _nested(50), skipped="levels deep")
    yield Hostile(name="multiparts.eml", make=lambda: _multiparts(1_000), failure="nested")
    yield Hostile(name="multiparts_10000.eml", make=lambda: _multiparts(10_000), failure="nested")
    yield Hostile(name="multiparts_50.eml", make=lambda: _multiparts(30), reads="text")
    yield Hostile(name="headers.eml", make=lambda: _mail(b"text", b"X-A: b\n" * 1_000_000), reads="text")
    yield Hostile(name="subjects.eml", make=lambda: _mail(b"text", b"To: a@b\n" * 100_000), reads="text")
    yield Hostile(
        name="long_subject.eml", make=lambda: _mail(b"text", b"Subject: " + b"a " * 500_000 + b"\n"), reads="text"
    )
    yield Hostile(
        name="recipients.eml",
        make=lambda: _mail(b"text", b"To: " + b"a@b, " * 50_000 + b"a@b\n"),
        reads="text",
        skipped="header",
    )
    yield Hostile(name="comments.eml", make=lambda: _mail(b"text", b"To: " + b"(" * 50_000 + b"\n"), reads="text")
    yield Hostile(
        name="encoded_words.eml",
        make=lambda: _mail(b"text", b"Cc: " + b"=?utf-8?q?a?= " * 20_000 + b"\n"),
        reads="text",
    )
    yield Hostile(name="encoded_open.eml", make=lambda: _mail(b"text", b"Cc: " + b"=?" * 50_000 + b"\n"), reads="text")
    yield Hostile(name="quotes.eml", make=lambda: _mail(b"text", b"Cc: " + b'"' * 50_001 + b"\n"), reads="text")
    yield Hostile(name="folded.eml", make=lambda: _mail(b"text", b"Cc: a\n" + b" b\n" * 100_000), reads="text")
    yield Hostile(
        name="parameters.eml",
        make=lambda: _mail(b"text", b"Content-Type: text/plain; " + b"a=b; " * 20_000 + b"\n"),
        reads="text",
    )
    yield Hostile(
        name="continued.eml",
        make=lambda: _mail(
            b"text", b"Content-Type: text/plain; " + b"".join(b"n*%d=a; " % n for n in range(10_000)) + b"\n"
        ),
        reads="text",
    )
    yield Hostile(name="date.eml", make=lambda: _mail(b"text", b"Date: " + b"1 " * 100_000 + b"\n"), reads="text")
    yield Hostile(
        name="date_digits.eml",
        make=lambda: _mail(b"text", b"Date: Mon, " + b"9" * 10_000 + b" Jan 2020 00:00:00\n"),
        reads="text",
    )
    yield Hostile(
        name="message_id.eml", make=lambda: _mail(b"text", b"Message-ID: " + b"<" * 50_000 + b"\n"), reads="text"
    )
    yield Hostile(name="parts.eml", make=lambda: _mail(b"--b\n\nx\n" * 50_000, mixed), reads="x", failure="attachments")
    yield Hostile(name="boundaries.eml", make=lambda: _mail(b"--b\n" * 500_000, mixed), failure="empty|parts")
    yield Hostile(
        name="attachments.eml",
        make=lambda: _mail(b"--b\nContent-Disposition: attachment; filename=a.txt\n\ntext\n" * 5_000, mixed),
        reads="text",
        failure="attachments",
    )
    yield Hostile(name="lists.eml", make=lambda: _mail(b"<ul><li>x" * 3_600, b"Content-Type: text/html\n"), reads="x")
    yield Hostile(
        name="charset.eml",
        make=lambda: _mail(b"text", b"Content-Type: text/plain; charset=" + b"x" * 100_000 + b"\n"),
        reads="text",
    )
    yield Hostile(
        name="codec.eml", make=lambda: _mail(b"text", b"Content-Type: text/plain; charset=rot13\n"), reads="text"
    )
    yield Hostile(
        name="file_name.eml",
        make=lambda: _mail(
            b'--b\nContent-Disposition: attachment; filename="' + b"a" * 100_000 + b'.txt"\n\ntext\n--b--\n', mixed
        ),
        skipped="are not read",
    )
    yield Hostile(
        name="nul_file_name.eml",
        make=lambda: _mail(
            b'--b\nContent-Disposition: attachment; filename="a\0/../../b\x1b.txt"\n\ntext\n--b--\n', mixed
        ),
        reads="text",
    )
    yield Hostile(
        name="base64.eml", make=lambda: _mail(b"=" * 2_000_000, b"Content-Transfer-Encoding: base64\n"), failure="empty"
    )
    yield Hostile(
        name="quoted.eml",
        make=lambda: _mail(b"=41" * 1_000_000, b"Content-Transfer-Encoding: quoted-printable\n"),
        reads="AAA",
    )
    yield Hostile(
        name="uuencoded.eml",
        make=lambda: _mail(b"begin 644 a\n" * 80_000, b"Content-Transfer-Encoding: uuencode\n"),
        reads="begin",
    )


def all_pages() -> Iterator[Hostile]:
    yield from html()
    yield from epub()
    yield from mails()
