"""Hostile Office files: each is a sound small file with one part exchanged."""
# ruff: noqa: E501

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO

import docx
import openpyxl
import pptx
from pptx.util import Inches

from tests.indexer.hostile.archives import zipped
from tests.indexer.hostile.hostile_file import Hostile

_S = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_W = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_BOMB = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(12)
)


def _members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@lru_cache(maxsize=1)
def _book() -> dict[str, bytes]:
    book = openpyxl.Workbook()
    book.active.append(["name", "value"])
    book.active.append(["text", 1])
    out = BytesIO()
    book.save(out)
    return _members(out.getvalue())


def _xlsx(**changed: bytes) -> bytes:
    names = {"sheet": "xl/worksheets/sheet1.xml", "strings": "xl/sharedStrings.xml", "styles": "xl/styles.xml"}
    names |= {"types": "[Content_Types].xml", "book": "xl/workbook.xml", "rels": "xl/_rels/workbook.xml.rels"}
    names |= {"core": "docProps/core.xml"}
    return zipped(_book() | {names[key]: data for key, data in changed.items()})


def _sheet(rows: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    return b"<worksheet " + _S + b">" + before + b"<sheetData>" + rows + b"</sheetData>" + after + b"</worksheet>"


_CELL = b'<row r="1"><c r="A1" t="inlineStr"><is><t>text</t></is></c></row>'


def _with(part: str, old: bytes, new: bytes) -> bytes:
    members = _book()
    assert old in members[part]
    return zipped(members | {part: members[part].replace(old, new, 1)})


def xlsx() -> Iterator[Hostile]:
    yield Hostile(
        name="cells.xlsx",
        make=lambda: _xlsx(sheet=_sheet(_CELL + b'<row r="2">' + b"<c/>" * 5_000_000 + b"</row>")),
        failure="elements",
    )
    yield Hostile(
        name="filled_cells.xlsx",
        make=lambda: _xlsx(sheet=_sheet(b"<row>" + b"<c><v>1</v></c>" * 1_500_000 + b"</row>")),
        failure="elements",
    )
    yield Hostile(
        name="rows.xlsx",
        make=lambda: _xlsx(sheet=_sheet(_CELL + b"<row/>" * 3_000_000)),
        failure="rows|large",
    )
    yield Hostile(
        name="gap.xlsx",
        make=lambda: _xlsx(sheet=_sheet(_CELL + b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')),
        reads="text",
    )
    yield Hostile(
        name="far_row.xlsx",
        make=lambda: _xlsx(sheet=_sheet(_CELL + b'<row r="99999999999"><c><v>1</v></c></row>')),
        failure="large|corrupt",
    )
    yield Hostile(
        name="digits_row.xlsx",
        make=lambda: _xlsx(sheet=_sheet(_CELL + b'<row r="' + b"9" * 5_000 + b'"><c><v>1</v></c></row>')),
        failure="large|corrupt",
    )
    yield Hostile(
        name="infinite_row.xlsx",
        make=lambda: _xlsx(sheet=_sheet(_CELL + b'<row r="1e400"><c><v>1</v></c></row>')),
        failure="large|corrupt",
    )
    yield Hostile(
        name="far_column.xlsx",
        make=lambda: _xlsx(sheet=_sheet(_CELL + b'<row r="2"><c r="ZZZ2"><v>1</v></c></row>')),
        reads="text",
    )
    yield Hostile(
        name="last_column.xlsx",
        failure="too large",
        make=lambda: _xlsx(
            sheet=_sheet(
                _CELL + b"".join(b'<row r="%d"><c r="XFD%d"><v>1</v></c></row>' % (n, n) for n in range(2, 20_000))
            )
        ),
        reads="text",
    )
    yield Hostile(
        name="columns_backwards.xlsx",
        make=lambda: _xlsx(
            sheet=_sheet(b'<row r="1"><c r="C1"><v>1</v></c><c r="A1" t="inlineStr"><is><t>text</t></is></c></row>')
        ),
        reads="",
    )
    yield Hostile(
        name="number.xlsx",
        make=lambda: _xlsx(sheet=_sheet(_CELL + b'<row r="2"><c r="A2"><v>' + b"9" * 5_000 + b"</v></c></row>")),
        failure="corrupt|number",
    )
    yield Hostile(
        name="infinity.xlsx",
        make=lambda: _xlsx(
            sheet=_sheet(_CELL + b'<row r="2"><c r="A2"><v>1e999</v></c><c r="B2"><v>NaN</v></c></row>')
        ),
        failure="corrupt",
    )
    yield Hostile(
        name="huge_float.xlsx",
        make=lambda: _xlsx(sheet=_sheet(_CELL + b'<row r="2"><c r="A2"><v>1e308</v></c></row>')),
        reads="text",
    )
    yield Hostile(
        name="long_cell.xlsx",
        make=lambda: _xlsx(
            sheet=_sheet(b'<row r="1"><c r="A1" t="inlineStr"><is><t>' + b"text" * 5_000_000 + b"</t></is></c></row>")
        ),
        reads="text",
    )
    yield Hostile(
        name="runs.xlsx",
        make=lambda: _xlsx(
            sheet=_sheet(
                b'<row r="1"><c r="A1" t="inlineStr"><is>' + b"<r><t>text</t></r>" * 500_000 + b"</is></c></row>"
            )
        ),
        failure="elements|large|cell",
    )
    yield Hostile(
        name="merged.xlsx",
        make=lambda: _xlsx(
            sheet=_sheet(
                _CELL, after=b"<mergeCells>" + b'<mergeCell ref="A1:XFD1048576"/>' * 500_000 + b"</mergeCells>"
            )
        ),
        reads="text",
    )
    yield Hostile(
        name="widths.xlsx",
        make=lambda: _xlsx(
            sheet=_sheet(_CELL, before=b"<cols>" + b'<col min="1" max="16384" width="9"/>' * 500_000 + b"</cols>")
        ),
        failure="elements",
    )
    yield Hostile(
        name="validations.xlsx",
        make=lambda: _xlsx(
            sheet=_sheet(
                _CELL, after=b"<dataValidations>" + b'<dataValidation sqref="A1:B2"/>' * 500_000 + b"</dataValidations>"
            )
        ),
        reads="text",
    )
    yield Hostile(
        name="links.xlsx",
        make=lambda: _xlsx(
            sheet=_sheet(_CELL, after=b"<hyperlinks>" + b'<hyperlink ref="A1"/>' * 500_000 + b"</hyperlinks>")
        ),
        reads="text",
    )
    yield Hostile(
        name="formatting.xlsx",
        make=lambda: _xlsx(sheet=_sheet(_CELL, after=b'<conditionalFormatting sqref="A1:XFD1048576"/>' * 300_000)),
        reads="text",
    )
    yield Hostile(
        name="before_data.xlsx", make=lambda: _xlsx(sheet=_sheet(_CELL, before=b"<a/>" * 5_000_000)), failure="elements"
    )
    yield Hostile(
        name="views.xlsx",
        make=lambda: _xlsx(
            sheet=_sheet(
                _CELL, before=b"<sheetViews>" + b'<sheetView workbookViewId="0"/>' * 500_000 + b"</sheetViews>"
            )
        ),
        failure="elements",
    )
    yield Hostile(
        name="deep.xlsx", make=lambda: _xlsx(sheet=_sheet(_CELL + b"<a>" * 1_000_000)), failure="corrupt|large|elements"
    )
    yield Hostile(
        name="attributes.xlsx",
        make=lambda: _xlsx(
            sheet=_sheet(b"<row " + b" ".join(b'a%d=""' % n for n in range(300_000)) + b">" + _CELL[13:])
        ),
        failure="corrupt",
    )
    yield Hostile(
        name="dimension.xlsx",
        make=lambda: _xlsx(sheet=_sheet(_CELL, before=b'<dimension ref="A1:XFD1048576"/>')),
        reads="text",
    )
    yield Hostile(
        name="wrong_dimension.xlsx",
        make=lambda: _xlsx(sheet=_sheet(_CELL, before=b'<dimension ref="' + b"A" * 100_000 + b'"/>')),
        reads="text",
    )
    yield Hostile(
        name="formulas.xlsx", make=lambda: _xlsx(sheet=_sheet(_CELL + b"<c " + b"<c <f" * 800_000)), failure="corrupt"
    )
    yield Hostile(
        name="formula_spaces.xlsx",
        make=lambda: _xlsx(
            sheet=_sheet(_CELL + (b'<row><c r="A2"><f>' + b"1" * 19_000 + b"</f>         <v>1</v></c></row>") * 500)
        ),
        reads="1",
    )
    yield Hostile(name="strings.xlsx", make=lambda: _shared(b"<si/>" * 5_000_000), failure="elements")
    yield Hostile(
        name="string_runs.xlsx",
        make=lambda: _shared(b"<si>" + b"<r><t>a</t></r>" * 1_000_000 + b"</si>"),
        failure="elements",
    )
    yield Hostile(
        name="long_string.xlsx",
        make=lambda: _shared(b"<si><t>" + b"text" * 5_000_000 + b"</t></si>", often=1_000),
        failure="characters",
    )
    yield Hostile(
        name="repeated_string.xlsx",
        make=lambda: _shared(b"<si><t>" + b"text" * 8_000 + b"</t></si>", often=4_000),
        reads="text",
        failure="characters",
    )
    yield Hostile(
        name="fonts.xlsx",
        make=lambda: _with("xl/styles.xml", b"<fonts ", b"<cellXfs>" + b"<xf/>" * 3_000_000 + b"</cellXfs><fonts "),
        failure="elements",
    )
    yield Hostile(
        name="names.xlsx",
        make=lambda: _with(
            "xl/workbook.xml",
            b"<definedNames",
            b"<definedNames>" + b'<definedName name="a">A1</definedName>' * 500_000 + b"</definedNames><definedNames",
        ),
        failure="elements",
    )
    yield Hostile(
        name="sheets.xlsx",
        make=lambda: _with(
            "xl/workbook.xml",
            b"<sheets>",
            b"<sheets>"
            + b'<sheet name="a" sheetId="1" r:id="rId1" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"/>'
            * 2_000,
        ),
        reads="text",
        skipped="another sheet",
    )
    yield Hostile(
        name="types.xlsx",
        make=lambda: _with(
            "[Content_Types].xml", b"<Override", b'<Default Extension="a" ContentType="b"/>' * 1_000_000 + b"<Override"
        ),
        failure="elements",
    )
    yield Hostile(
        name="entities.xlsx",
        make=lambda: _xlsx(
            sheet=_BOMB + b"]>" + _sheet(b'<row r="1"><c r="A1" t="inlineStr"><is><t>&m;</t></is></c></row>')
        ),
        failure="corrupt",
    )
    yield Hostile(name="entities_in_styles.xlsx", make=lambda: _xlsx(core=_BOMB + b"]><a>&m;</a>"), failure="corrupt")
    yield Hostile(
        name="members.xlsx",
        make=lambda: zipped(_book() | {f"a{n}.xml": b"" for n in range(60_000)}),
        reads="text",
    )
    yield Hostile(
        name="bomb.xlsx",
        make=lambda: zipped(_book() | {f"a{n}.bin": bytes(50_000_000) for n in range(5)}),
        reads="text",
    )
    yield Hostile(
        name="bomb_sheet.xlsx", make=lambda: _xlsx(sheet=_sheet(_CELL + b" " * 150_000_000)), failure="characters"
    )
    yield Hostile(
        name="bomb_string.xlsx", make=lambda: _shared(b"<si><t>" + b" " * 60_000_000 + b"</t></si>"), failure="markup"
    )


def _shared(strings: bytes, often: int = 1) -> bytes:
    sst = b"<sst " + _S + b">" + strings + b"</sst>"
    rows = b"".join(b'<row r="%d"><c r="A%d" t="s"><v>0</v></c></row>' % (n, n) for n in range(1, often + 1))
    kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    types = _book()["[Content_Types].xml"].replace(
        b"<Override", b'<Override PartName="/xl/sharedStrings.xml" ContentType="' + kind + b'"/><Override', 1
    )
    return _xlsx(strings=sst, sheet=_sheet(rows), types=types)


@lru_cache(maxsize=1)
def _word() -> dict[str, bytes]:
    document = docx.Document()
    document.add_paragraph("text")
    out = BytesIO()
    document.save(out)
    return _members(out.getvalue())


def _docx(body: bytes, **changed: bytes) -> bytes:
    names = {"styles": "word/styles.xml", "types": "[Content_Types].xml"}
    document = b"<w:document " + _W + b"><w:body>" + body + b"</w:body></w:document>"
    return zipped(_word() | {"word/document.xml": document} | {names[key]: data for key, data in changed.items()})


_P = b"<w:p><w:r><w:t>text</w:t></w:r></w:p>"


def _cells(depth: int) -> bytes:
    return b"<w:tbl><w:tr><w:tc>" * depth + _P + b"</w:tc></w:tr></w:tbl>" * depth


def word() -> Iterator[Hostile]:
    styles = b"<w:styles " + _W + b">%s</w:styles>"
    chain = b"".join(
        b'<w:style w:type="paragraph" w:styleId="s%d"><w:basedOn w:val="s%d"/></w:style>' % (n, n + 1)
        for n in range(20_000)
    )
    yield Hostile(name="style_chain.docx", make=lambda: _docx(_P, styles=styles % chain), reads="text")
    yield Hostile(
        name="style_cycle.docx", make=lambda: _docx(_P, styles=styles % chain.replace(b"s20000", b"s0")), reads="text"
    )
    yield Hostile(name="empty_paragraphs.docx", make=lambda: _docx(_P + b"<w:p/>" * 4_000_000), failure="elements")
    yield Hostile(name="paragraphs.docx", make=lambda: _docx(_P * 60_000), reads="text")
    yield Hostile(
        name="runs.docx",
        make=lambda: _docx(b"<w:p>" + b"<w:r><w:t>text</w:t></w:r>" * 300_000 + b"</w:p>"),
        reads="text",
    )
    yield Hostile(name="nested_tables.docx", make=lambda: _docx(_cells(80)), reads="text")
    yield Hostile(name="deep_tables.docx", make=lambda: _docx(_cells(3_000)), failure="corrupt")
    yield Hostile(
        name="tables_in_boxes.docx",
        make=lambda: _docx(b"<w:p><w:r><w:txbxContent>" * 80 + _P + b"</w:txbxContent></w:r></w:p>" * 80),
        reads="text",
    )
    yield Hostile(
        name="deep_controls.docx",
        make=lambda: _docx(b"<w:sdt><w:sdtContent>" * 100 + _P + b"</w:sdtContent></w:sdt>" * 100),
        reads="text",
    )
    yield Hostile(
        name="very_deep_controls.docx",
        make=lambda: _docx(b"<w:sdt><w:sdtContent>" * 20_000 + _P + b"</w:sdtContent></w:sdt>" * 20_000),
        failure="nested|corrupt|deep",
    )
    yield Hostile(
        name="wide_span.docx",
        make=lambda: _docx(
            b'<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="1000000000"/></w:tcPr>' + _P + b"</w:tc></w:tr></w:tbl>"
        ),
        reads="text",
    )
    yield Hostile(
        name="digits_span.docx",
        make=lambda: _docx(
            b'<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="'
            + b"9" * 5_000
            + b'"/></w:tcPr>'
            + _P
            + b"</w:tc></w:tr></w:tbl>"
        ),
        reads="text",
    )
    merged = b'<w:tc><w:tcPr><w:vMerge w:val="continue"/></w:tcPr><w:p/></w:tc>'
    yield Hostile(
        name="merged_cell.docx",
        make=lambda: _docx(
            b"<w:tbl><w:tr><w:tc>"
            b"<w:p><w:r><w:t>"
            + b"text" * 100_000
            + b"</w:t></w:r></w:p></w:tc></w:tr>"
            + (b"<w:tr>" + merged + b"</w:tr>") * 20_000
            + b"</w:tbl>"
        ),
        reads="text",
        skipped="merged",
    )
    yield Hostile(
        name="rows.docx",
        make=lambda: _docx(b"<w:tbl>" + (b"<w:tr><w:tc>" + _P + b"</w:tc></w:tr>") * 50_000 + b"</w:tbl>"),
        reads="text",
    )
    yield Hostile(
        name="cells.docx",
        make=lambda: _docx(b"<w:tbl><w:tr>" + (b"<w:tc>" + _P + b"</w:tc>") * 50_000 + b"</w:tr></w:tbl>"),
        reads="text",
    )
    yield Hostile(
        name="controls_look.docx",
        make=lambda: _docx(
            (b"<w:sdt>" + b"<w:sdtPr/><w:sdtContent>") * 200 + _P * 20_000 + b"</w:sdtContent></w:sdt>" * 200
        ),
        failure="corrupt",
    )
    yield Hostile(
        name="notes.docx",
        make=lambda: _docx(
            b"<w:p>" + b'<w:r><w:t>text</w:t><w:footnoteReference w:id="1"/></w:r>' * 100_000 + b"</w:p>"
        ),
        reads="text",
    )
    yield Hostile(
        name="entities.docx",
        make=lambda: zipped(
            _word()
            | {
                "word/document.xml": _BOMB
                + b"]><w:document "
                + _W
                + b"><w:body><w:p><w:r><w:t>text&m;</w:t></w:r></w:p></w:body></w:document>"
            }
        ),
        failure="corrupt",
    )
    yield Hostile(
        name="types.docx",
        make=lambda: _docx(
            _P,
            types=_word()["[Content_Types].xml"].replace(
                b"<Override", b'<Default Extension="a" ContentType="b"/>' * 1_000_000 + b"<Override", 1
            ),
        ),
        failure="elements",
    )
    yield Hostile(name="parts.docx", make=lambda: _loop(), failure="corrupt")
    yield Hostile(
        name="number.docx",
        make=lambda: _docx(
            _P, styles=styles % (b'<w:style w:styleId="a"><w:name w:val="heading ' + b"1" * 500_000 + b'"/></w:style>')
        ),
        reads="text",
    )
    yield Hostile(
        name="spaces_in_name.docx",
        make=lambda: _docx(
            _P, styles=styles % (b'<w:style w:styleId="a"><w:name w:val="heading' + b" " * 500_000 + b'x"/></w:style>')
        ),
        reads="text",
    )


def _loop() -> bytes:
    """Return a Word file whose parts lead to each other in a circle."""
    members = dict(_word())
    rel = b'<Relationship Id="x%d" Type="http://a" Target="a%d.xml"/>'
    whole = b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">%s</Relationships>'
    for n in range(3_000):
        members[f"word/a{n}.xml"] = b"<a/>"
        members[f"word/_rels/a{n}.xml.rels"] = whole % (rel % (n, (n + 1) % 3_000))
    old = members["word/_rels/document.xml.rels"]
    members["word/_rels/document.xml.rels"] = old.replace(b"</Relationships>", rel % (1, 0) + b"</Relationships>")
    return zipped(members)


@lru_cache(maxsize=1)
def _slides() -> dict[str, bytes]:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    slide.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "text"
    out = BytesIO()
    deck.save(out)
    return _members(out.getvalue())


_SLIDE = "ppt/slides/slide1.xml"


def _pptx(shapes: bytes, part: str = _SLIDE, at: bytes = b"</p:spTree>") -> bytes:
    members = _slides()
    assert at in members[part]
    return zipped(members | {part: members[part].replace(at, shapes + at, 1)})


_GROUP = b'<p:grpSp><p:nvGrpSpPr><p:cNvPr id="9" name="a"/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'


def _table(cells: bytes) -> bytes:
    return (
        b'<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="9" name="a"/><p:cNvGraphicFramePr/><p:nvPr/></p:nvGraphicFramePr>'
        b'<p:xfrm/><a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/table"><a:tbl>'
        + cells
        + b"</a:tbl></a:graphicData></a:graphic></p:graphicFrame>"
    )


def slides() -> Iterator[Hostile]:
    cell = b"<a:tc><a:txBody><a:bodyPr/><a:p><a:r><a:t>x</a:t></a:r></a:p></a:txBody></a:tc>"
    box = b'<p:sp><p:nvSpPr><p:cNvPr id="9" name="a"/><p:cNvSpPr/><p:nvPr/></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/><a:p><a:r><a:t>x</a:t></a:r></a:p></p:txBody></p:sp>'
    yield Hostile(name="groups.pptx", make=lambda: _pptx(_GROUP * 100 + b"</p:grpSp>" * 100), reads="text")
    yield Hostile(
        name="deep_groups.pptx",
        make=lambda: _pptx(_GROUP * 5_000 + b"</p:grpSp>" * 5_000),
        failure="nested|corrupt|deep",
    )
    yield Hostile(name="shapes.pptx", make=lambda: _pptx(box * 20_000), reads="text")
    yield Hostile(name="empty_shapes.pptx", make=lambda: _pptx(box.replace(b"x", b"", 1) * 20_000), failure="corrupt")
    yield Hostile(name="rows.pptx", make=lambda: _pptx(_table((b"<a:tr>" + cell * 2 + b"</a:tr>") * 5_000)), reads="x")
    yield Hostile(name="cells.pptx", make=lambda: _pptx(_table(b"<a:tr>" + cell * 10_000 + b"</a:tr>")), reads="x")
    yield Hostile(name="elements.pptx", make=lambda: _pptx(b"<p:sp/>" * 4_000_000), failure="elements")
    yield Hostile(
        name="paragraphs.pptx",
        make=lambda: _pptx(
            box.replace(b"</p:txBody>", b"<a:p><a:r><a:t>x</a:t></a:r></a:p>" * 50_000 + b"</p:txBody>")
        ),
        reads="x",
    )
    yield Hostile(name="slides.pptx", make=lambda: _many_slides(3_000), reads="text", skipped="listed a second time")


def _many_slides(number: int) -> bytes:
    """Return a presentation that shows one slide again and again."""
    members = dict(_slides())
    rels = members["ppt/_rels/presentation.xml.rels"]
    start = rels.index(b"slides/slide1.xml")
    rel = rels[rels.rindex(b"Id=", 0, start) if b"Id=" in rels[:start][-200:] else 0 :]
    identifier = rel.split(b'"')[1] if rel else b"rId7"
    ids = b"".join(b'<p:sldId id="%d" r:id="%s"/>' % (300 + n, identifier) for n in range(number))
    old = members["ppt/presentation.xml"]
    members["ppt/presentation.xml"] = old.replace(b"</p:sldIdLst>", ids + b"</p:sldIdLst>")
    return zipped(members)


def all_office() -> Iterator[Hostile]:
    yield from xlsx()
    yield from word()
    yield from slides()
