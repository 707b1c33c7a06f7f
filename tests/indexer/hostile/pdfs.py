"""Hostile PDFs, written by hand: a page tree, streams and what does not fit."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

from tests.indexer.hostile.hostile_file import Hostile

_FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


def pdf(objects: Mapping[int, bytes], trailer: bytes = b"/Root 1 0 R") -> bytes:
    """Return a PDF of numbered objects; the first is its catalog."""
    data = b"%PDF-1.7\n"
    places = {}
    for number, body in objects.items():
        places[number] = len(data)
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(data)
    last = max(objects) + 1
    lines = (b"%010d 00000 n \n" % places[n] if n in places else b"0000000000 65535 f \n" for n in range(last))
    return (
        data
        + b"xref\n0 %d\n" % last
        + b"".join(lines)
        + b"trailer\n<</Size %d %s>>\nstartxref\n%d\n%%%%EOF" % (last, trailer, start)
    )


def stream(data: bytes, entries: bytes = b"", *, packed: bool = True) -> bytes:
    """Return a stream object."""
    data = zlib.compress(data, 9) if packed else data
    entries += b"/Filter/FlateDecode" if packed else b""
    return b"<</Length %d %s>>\nstream\n%s\nendstream" % (len(data), entries, data)


def page(
    content: bytes, *, box: bytes = b"0 0 595 842", more: Mapping[int, bytes] | None = None, resources: bytes = b""
) -> bytes:
    """Return a PDF of one page."""
    return pdf(
        {
            1: b"<</Type/Catalog/Pages 2 0 R>>",
            2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            3: b"<</Type/Page/Parent 2 0 R/MediaBox[%s]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>%s>>>>"
            % (box, resources),
            4: stream(content),
            5: _FONT,
            **(more or {}),
        }
    )


def _lines(number: int, step: float = 0.01, text: bytes = b"x") -> bytes:
    return (
        b"BT /F 8 Tf "
        + b"".join(b"1 0 0 1 50 %.4f Tm (%s) Tj " % (700 - n * step, text) for n in range(number))
        + b"ET"
    )


def _tall(number: int, step: float = 0.0) -> bytes:
    """Return a page of that many lines, each below the other, and each `step` points further to the right."""
    places = ((50 + n * step, 10 * (number - n)) for n in range(number))
    content = b"BT /F 8 Tf " + b"".join(b"1 0 0 1 %.2f %d Tm (word) Tj " % place for place in places) + b"ET"
    return page(content, box=b"0 0 595 %d" % (10 * number + 50))


def _margin(text: bytes) -> bytes:
    return page(b"BT /F 0.1 Tf 50 20 Td (" + text + b") Tj ET BT /F 8 Tf 50 400 Td (body) Tj ET")


def _grid(across: int, down: int) -> bytes:
    rules = b"".join(b"50 %.2f m 550 %.2f l S " % (100 + n * 7.0, 100 + n * 7.0) for n in range(across))
    return rules + b"".join(b"%.2f 100 m %.2f 800 l S " % (50 + n * 7.0, 50 + n * 7.0) for n in range(down))


def _image(width: int, height: int) -> dict[int, bytes]:
    data = zlib.compress(b"", 9)
    entries = b"/Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceRGB/BitsPerComponent 8" % (
        width,
        height,
    )
    return {6: b"<</Length %d %s/Filter/FlateDecode>>\nstream\n%s\nendstream" % (len(data), entries, data)}


def _bomb(width: int, height: int) -> dict[int, bytes]:
    entries = b"/Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceGray/BitsPerComponent 8" % (
        width,
        height,
    )
    packer = zlib.compressobj(9)
    data = b"".join([*(packer.compress(bytes(width * 100)) for _ in range(height // 100)), packer.flush()])
    return {6: b"<</Length %d %s/Filter/FlateDecode>>\nstream\n%s\nendstream" % (len(data), entries, data)}


def pdfs() -> Iterator[Hostile]:
    show = b"q 595 0 0 842 0 0 cm /I Do Q"
    image = b"/XObject<</I 6 0 R>>"
    yield Hostile(name="lines.pdf", make=lambda: page(_lines(20_000)), reads="x")
    yield Hostile(name="lines_50000.pdf", make=lambda: page(_lines(100_000, 0.005)), reads="x", failure="")
    yield Hostile(name="apart.pdf", make=lambda: page(_lines(30_000, 10.0)), reads="x", failure="")
    yield Hostile(name="tall.pdf", make=lambda: _tall(30_000), reads="word")
    yield Hostile(name="slanting.pdf", make=lambda: _tall(30_000, 0.01), reads="word")
    yield Hostile(name="small_steps.pdf", make=lambda: _tall(3_000, 0.1), reads="word")
    yield Hostile(name="dots.pdf", make=lambda: _margin(b"." * 3_000 + b"x"), reads="body")
    yield Hostile(
        name="dots_and_number.pdf", make=lambda: _margin(b"." * 1_000 + b"1" + b"." * 1_000 + b"x"), reads="body"
    )
    yield Hostile(
        name="spaces_and_number.pdf",
        make=lambda: _margin(b"1" + b" ." * 1_000 + b"2" + b" ." * 1_000 + b"x"),
        reads="body",
    )
    yield Hostile(
        name="text.pdf", make=lambda: page(b"BT /F 8 Tf 50 700 Td (" + b"word " * 1_000_000 + b") Tj ET"), reads="word"
    )
    yield Hostile(
        name="repeated.pdf",
        make=lambda: page(
            b"/X Do " * 200_000,
            resources=b"/XObject<</X 6 0 R>>",
            more={6: stream(_lines(1), b"/Type/XObject/Subtype/Form/BBox[0 0 900 900]/Resources<</Font<</F 5 0 R>>>>")},
        ),
        reads="x",
    )
    yield Hostile(
        name="form_in_itself.pdf",
        make=lambda: page(
            b"/X Do",
            resources=b"/XObject<</X 6 0 R>>",
            more={
                6: stream(
                    b"/X Do BT /F 8 Tf 50 700 Td (x) Tj ET",
                    b"/Type/XObject/Subtype/Form/BBox[0 0 900 900]/Resources<</Font<</F 5 0 R>>/XObject<</X 6 0 R>>>>",
                )
            },
        ),
        reads="x",
    )
    yield Hostile(name="grid.pdf", make=lambda: page(_grid(70, 70) + _lines(2_000, 0.3)), reads="x")
    yield Hostile(name="drawings.pdf", make=lambda: page(_lines(1) + b"50 50 m 60 60 l S " * 300_000), reads="x")
    yield Hostile(name="boxes.pdf", make=lambda: page(_lines(1) + b"50 50 20 20 re S " * 19_000), reads="x")
    yield Hostile(
        name="one_path.pdf", make=lambda: page(_lines(1) + b"50 50 m " + b"60 60 l " * 1_000_000 + b"S"), reads="x"
    )
    yield Hostile(name="grid_of_text.pdf", make=lambda: page(_grid(60, 60) + _lines(50_000, 0.01)), reads="x")
    yield Hostile(
        name="huge_page.pdf",
        make=lambda: page(show, box=b"0 0 1000000 1000000", resources=image, more=_image(10, 10)),
        failure="scanned|blank|Scanned|no text",
    )
    yield Hostile(
        name="infinite_page.pdf",
        make=lambda: page(show + _lines(1), box=b"0 0 1e38 1e38", resources=image, more=_image(10, 10)),
        failure="no text|blank|scan",
        megabytes=1_200,
    )
    yield Hostile(
        name="thin_page.pdf",
        make=lambda: page(show, box=b"0 0 1000000 0.0001", resources=image, more=_image(10, 10)),
        failure=".",
    )
    yield Hostile(
        name="strip_page.pdf",
        make=lambda: page(b"q 3 0 0 14400 0 0 cm /I Do Q", box=b"0 0 3 14400", resources=image, more=_image(10, 10)),
        failure=".",
        megabytes=1_500,
    )
    yield Hostile(
        name="huge_image.pdf",
        make=lambda: page(show, resources=image, more=_image(100_000, 100_000)),
        failure=".",
        megabytes=1_200,
    )
    yield Hostile(
        name="bomb_image.pdf",
        make=lambda: page(show, resources=image, more=_bomb(10_000, 10_000)),
        failure=".",
        megabytes=1_200,
    )
    yield Hostile(name="bomb_stream.pdf", make=lambda: page(_lines(1) + b" " * 200_000_000), reads="x", megabytes=700)
    yield Hostile(name="bomb_twice.pdf", make=lambda: _packed_twice(), failure=".", megabytes=700)
    yield Hostile(
        name="page_cycle.pdf",
        make=lambda: pdf({1: b"<</Type/Catalog/Pages 2 0 R>>", 2: b"<</Type/Pages/Kids[2 0 R]/Count 1>>"}),
        failure="corrupt|cannot be read",
    )
    yield Hostile(
        name="page_tree.pdf",
        make=lambda: pdf(
            {
                1: b"<</Type/Catalog/Pages 2 0 R>>",
                2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
                3: b"<</Type/Pages/Parent 2 0 R/Kids[2 0 R]/Count 1>>",
            }
        ),
        failure="corrupt|cannot be read",
    )
    yield Hostile(
        name="bad_count.pdf",
        make=lambda: pdf(
            {
                1: b"<</Type/Catalog/Pages 2 0 R>>",
                2: b"<</Type/Pages/Kids[3 0 R]/Count 2147483647>>",
                3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
            }
        ),
        failure="pages|cannot be read|corrupt",
    )
    yield Hostile(
        name="many_pages.pdf",
        make=lambda: pdf(
            {
                1: b"<</Type/Catalog/Pages 2 0 R>>",
                2: b"<</Type/Pages/Kids[" + b"3 0 R " * 100_000 + b"]/Count 100000>>",
                3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
                4: stream(_lines(1)),
                5: _FONT,
            }
        ),
        failure="pages",
    )
    yield Hostile(name="no_root.pdf", make=lambda: pdf({1: b"<</Type/Catalog>>"}), failure="corrupt|cannot be read")
    yield Hostile(name="root_is_number.pdf", make=lambda: pdf({1: b"5"}), failure="corrupt|cannot be read")
    yield Hostile(
        name="loop_of_objects.pdf", make=lambda: pdf({1: b"2 0 R", 2: b"1 0 R"}), failure="corrupt|cannot be read"
    )
    yield Hostile(name="outline.pdf", make=lambda: _outline(), reads="x")
    yield Hostile(
        name="metadata.pdf",
        make=lambda: pdf(
            {
                1: b"<</Type/Catalog/Pages 2 0 R>>",
                2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
                3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
                4: stream(_lines(1)),
                5: _FONT,
                6: b"6 0 R",
                7: b"<</Title 7 0 R>>",
            },
            b"/Root 1 0 R/Info 7 0 R",
        ),
        reads="x",
    )
    yield Hostile(
        name="nested_arrays.pdf",
        make=lambda: pdf(
            {1: b"<</Type/Catalog/Pages 2 0 R/X " + b"[" * 100_000 + b">>", 2: b"<</Type/Pages/Kids[]/Count 0>>"}
        ),
        failure="corrupt|cannot be read",
    )
    yield Hostile(
        name="object_streams.pdf",
        make=lambda: (
            b"%PDF-1.7\n"
            + b"1 0 obj\n<</Type/ObjStm/N 1000000/First 0/Length 5>>stream\n1 0 2\nendstream endobj\n" * 500
        ),
        failure="corrupt|cannot be read",
    )
    yield Hostile(
        name="xref_loop.pdf",
        make=lambda: (
            b"%PDF-1.7\nxref\n0 1\n0000000000 65535 f \ntrailer<</Size 1/Root 1 0 R/Prev 9>>\nstartxref\n9\n%%EOF"
        ),
        failure="corrupt|cannot be read",
    )
    yield Hostile(
        name="only_objects.pdf", make=lambda: b"%PDF-1.7\n" + b"1 0 obj" * 500_000, failure="corrupt|cannot be read"
    )
    yield Hostile(
        name="repair.pdf",
        make=lambda: (
            b"%PDF-1.7\n" + b"".join(b"%d 0 obj <</A %d 0 R>> endobj\n" % (n, n + 1) for n in range(1, 100_000))
        ),
        failure="corrupt|cannot be read",
    )
    yield Hostile(
        name="font_size.pdf",
        make=lambda: page(
            b"BT /F 1e30 Tf 50 700 Td (x) Tj ET BT /F 0 Tf 50 600 Td (yy) Tj ET BT /F 8 Tf 50 500 Td (text) Tj ET"
        ),
        reads="text",
    )
    yield Hostile(
        name="not_a_number.pdf",
        make=lambda: page(b"BT /F 8 Tf 1e38 1e38 -1e38 1e38 1e38 1e38 Tm (x) Tj ET BT /F 8 Tf 50 500 Td (text) Tj ET"),
        reads="text",
    )
    yield Hostile(name="cut.pdf", make=lambda: page(_lines(100))[:-200], failure="corrupt")
    yield Hostile(name="graphics_states.pdf", make=lambda: page(b"q " * 500_000 + _lines(1)), failure="Page 1")
    yield Hostile(name="clips.pdf", make=lambda: page(b"0 0 9 9 re W n " * 100_000 + _lines(1)), failure="Page 1")
    yield Hostile(name="only_header.pdf", make=lambda: b"%PDF-1.7", failure="corrupt|cannot be read")


def _packed_twice() -> bytes:
    inner = zlib.compress(b" " * 200_000_000, 9)
    data = zlib.compress(inner, 9)
    content = b"<</Length %d/Filter[/FlateDecode/FlateDecode]>>\nstream\n%s\nendstream" % (len(data), data)
    return page(b"", more={4: content})


def _outline() -> bytes:
    item = b"<</Title(a)/Parent 6 0 R/Next 7 0 R/First 7 0 R/Dest[3 0 R/Fit]>>"
    base = page(_lines(1), more={6: b"<</Type/Outlines/First 7 0 R/Last 7 0 R/Count 1>>", 7: item})
    return base.replace(b"/Pages 2 0 R>>", b"/Pages 2 0 R/Outlines 6 0 R>>", 1)
