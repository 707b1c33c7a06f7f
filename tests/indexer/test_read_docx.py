"""Word: a document a section, with its tables, numbers, notes and boxes, and nothing that is struck out."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import docx
import pytest
from docx.document import Document as Word
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from bothways.indexer.read import document_id
from tests.indexer.reading import ENCRYPTED_OFFICE, OLD_OFFICE, Reading, members

DOCX = "a.docx"


def saved(word: Word, folder: Path, name: str = DOCX) -> Path:
    word.save(str(folder / name))
    return folder / name


def append(word: Word, xml: str) -> None:
    """Put a piece of WordprocessingML at the end of the body."""
    word.element.body.insert(len(word.element.body) - 1, parse_xml(xml))


def numbered(word: Word, levels: list[tuple[str, str]]) -> None:
    """Give the document one list, number 77, whose levels have these formats and texts."""
    root = word.part.numbering_part.element
    body = "".join(
        f'<w:lvl w:ilvl="{n}"><w:start w:val="1"/><w:numFmt w:val="{form}"/><w:lvlText w:val="{text}"/></w:lvl>'
        for n, (form, text) in enumerate(levels)
    )
    root.insert(0, parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="77">{body}</w:abstractNum>'))
    root.append(parse_xml(f'<w:num {nsdecls("w")} w:numId="77"><w:abstractNumId w:val="77"/></w:num>'))


def in_list(word: Word, text: str, level: int = 0) -> None:
    properties = word.add_paragraph(text)._p.get_or_add_pPr().get_or_add_numPr()
    properties.get_or_add_numId().val = 77
    properties.get_or_add_ilvl().val = level


def test_sections_by_headings_with_their_path(tmp_path: Path) -> None:
    word = docx.Document()
    word.add_heading("员工手册", 0)
    word.add_paragraph("开头的话。")
    word.add_heading("请假", 1)
    word.add_heading("病假", 2)
    word.add_paragraph("三天。")
    word.add_heading("证明", 4)
    word.add_paragraph("医院开具。")
    word.add_heading("报销", 1)
    word.add_paragraph("凭票。")
    reading = Reading(saved(word, tmp_path))
    assert reading.headings == ["员工手册", "员工手册 › 请假 › 病假", "员工手册 › 报销"]
    assert reading.blocks == [("开头的话。",), ("三天。", "证明", "医院开具。"), ("凭票。",)]
    assert {document.title for document in reading.documents} == {"员工手册"}
    assert reading.documents[1].metadata == {"section": "请假 › 病假"}
    assert reading.documents[1].doc_id == document_id(DOCX, record=2)


def test_without_a_title_the_only_top_heading_is_it_and_else_the_file(tmp_path: Path) -> None:
    word = docx.Document()
    word.add_heading("总则", 1)
    word.add_paragraph("一。")
    assert Reading(saved(word, tmp_path)).headings == ["总则"]
    word.add_heading("附则", 1)
    word.add_paragraph("二。")
    assert Reading(saved(word, tmp_path)).headings == ["a › 总则", "a › 附则"]


def test_a_heading_by_a_style_of_ones_own_or_by_its_outline_level(tmp_path: Path) -> None:
    word = docx.Document()
    style = word.styles.add_style("我的标题", docx.enum.style.WD_STYLE_TYPE.PARAGRAPH)
    style.base_style = word.styles["Heading 2"]
    word.add_paragraph("由样式", style=style)
    word.add_paragraph("甲。")
    paragraph = word.add_paragraph("由大纲级别")
    paragraph._p.get_or_add_pPr().append(parse_xml(f'<w:outlineLvl {nsdecls("w")} w:val="0"/>'))
    word.add_paragraph("乙。")
    assert Reading(saved(word, tmp_path)).headings == ["由大纲级别 › 由样式", "由大纲级别"]


def test_tables_stand_in_place_and_merged_cells_say_what_they_mean(tmp_path: Path) -> None:
    word = docx.Document()
    word.add_paragraph("前。")
    table = word.add_table(rows=3, cols=3)
    for row, texts in zip(
        table.rows, (("部门", "姓名", "电话"), ("行政", "张三", "1"), ("", "李四", "2")), strict=True
    ):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    wide = word.add_table(rows=1, cols=3)
    wide.cell(0, 0).merge(wide.cell(0, 2)).text = "合计\n三人"
    wide.cell(0, 0).add_table(1, 2).cell(0, 1).text = "内"
    word.add_paragraph("后。")
    [blocks] = Reading(saved(word, tmp_path)).blocks
    assert blocks == ("前。", "部门 | 姓名 | 电话\n行政 | 张三 | 1\n行政 | 李四 | 2", "合计 三人 内", "后。")


def test_the_header_of_a_long_table_is_repeated(tmp_path: Path) -> None:
    word = docx.Document()
    table = word.add_table(rows=0, cols=2)
    for name, text in (("项目", "说明"), *((f"第{n}项", "说" * 100) for n in range(1, 6))):
        for cell, value in zip(table.add_row().cells, (name, text), strict=True):
            cell.text = value
    [blocks] = Reading(saved(word, tmp_path)).blocks
    assert [block.split("\n")[0] for block in blocks] == ["项目 | 说明"] * 3
    assert [[line.split(" ")[0] for line in block.split("\n")[1:]] for block in blocks] == [
        ["第1项", "第2项"],
        ["第3项", "第4项"],
        ["第5项"],
    ]


def test_numbers_that_word_counts_are_written(tmp_path: Path) -> None:
    word = docx.Document()
    numbered(word, [("chineseCountingThousand", "第%1条"), ("decimal", "%1.%2"), ("lowerLetter", "(%3)")])
    word.add_paragraph("买卖合同")
    in_list(word, "标的。")
    in_list(word, "数量。", 1)
    in_list(word, "质量。", 1)
    in_list(word, "外观。", 2)
    in_list(word, "价款。")
    in_list(word, "币种。", 1)
    word.add_paragraph("苹果", style="List Bullet")
    [blocks] = Reading(saved(word, tmp_path)).blocks
    assert blocks == (
        *(
            "买卖合同",
            "第一条 标的。",
            "一.1 数量。",
            "一.2 质量。",
            "(a) 外观。",
            "第二条 价款。",
            "二.1 币种。",
            "- 苹果",
        ),
    )


def test_a_statute_is_read_by_its_articles_even_if_word_numbers_them(tmp_path: Path) -> None:
    word = docx.Document()
    numbered(word, [("chineseCountingThousand", "第%1条")])
    word.add_paragraph("仓库管理办法")
    for text in ("货物入库应当登记。", "货物出库应当核对。", "本办法自发布之日起施行。"):
        in_list(word, text)
    reading = Reading(saved(word, tmp_path))
    assert [document.metadata["article"] for document in reading.documents] == ["第一条", "第二条", "第三条"]
    assert reading.documents[2].title == "仓库管理办法 第三条"


def test_insertions_controls_boxes_and_notes_are_text_and_deletions_are_not(tmp_path: Path) -> None:
    word = docx.Document()
    names = nsdecls("w")
    run = "<w:r><w:t>{}</w:t></w:r>"
    append(
        word,
        f"<w:p {names}>{run.format('留')}<w:ins>{run.format('增')}</w:ins>"
        "<w:del><w:r><w:delText>删</w:delText></w:r></w:del><w:moveFrom><w:r><w:t>移</w:t></w:r></w:moveFrom>"
        f"<w:sdt><w:sdtContent>{run.format('填')}</w:sdtContent></w:sdt>"
        f"<w:hyperlink>{run.format('链')}</w:hyperlink><w:r><w:br/><w:t>行</w:t>"
        '<w:footnoteReference w:id="2"/></w:r></w:p>',
    )
    append(word, f"<w:sdt {names}><w:sdtContent><w:p>{run.format('控件')}</w:p></w:sdtContent></w:sdt>")
    append(
        word,
        f'<w:p {names} xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><w:r>'
        f'<mc:AlternateContent><mc:Choice Requires="wps"><w:txbxContent><w:p>{run.format("框")}</w:p></w:txbxContent>'
        f"</mc:Choice><mc:Fallback><w:txbxContent><w:p>{run.format('框')}</w:p></w:txbxContent></mc:Fallback>"
        "</mc:AlternateContent></w:r></w:p>",
    )
    append(
        word,
        f'<w:sdt {names}><w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj></w:sdtPr>'
        f"<w:sdtContent><w:p>{run.format('目录')}</w:p></w:sdtContent></w:sdt>",
    )
    path = saved(word, tmp_path)
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    relation = f'<Relationship Id="rId99" Type="{kind}" Target="footnotes.xml"/></Relationships>'
    content = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    override = f'<Override PartName="/word/footnotes.xml" ContentType="{content}"/></Types>'
    note = f'<w:footnotes {names}><w:footnote w:id="2"><w:p>{run.format("脚注")}</w:p></w:footnote></w:footnotes>'
    with members(path) as parts:
        parts["word/footnotes.xml"] = note.encode()
        for name, end, new in (
            ("word/_rels/document.xml.rels", b"</Relationships>", relation),
            ("[Content_Types].xml", b"</Types>", override),
        ):
            parts[name] = parts[name].replace(end, new.encode())
    [blocks] = Reading(path).blocks
    assert blocks == ("留增填链\n行", "脚注", "控件", "框")


def test_pages_are_those_of_the_layout_that_word_saved(tmp_path: Path) -> None:
    word = docx.Document()
    word.add_heading("甲", 1)
    word.add_paragraph("第一页。")
    word.add_heading("乙", 1)._p.insert(1, parse_xml(f"<w:r {nsdecls('w')}><w:lastRenderedPageBreak/></w:r>"))
    append(word, f"<w:p {nsdecls('w')}><w:r><w:t>第二</w:t><w:lastRenderedPageBreak/><w:t>到三页。</w:t></w:r></w:p>")
    word.add_heading("丙", 1)
    word.add_paragraph("第三页。")
    pages = [document.metadata["page"] for document in Reading(saved(word, tmp_path)).documents]
    assert pages == ["1", "2", "3"]  # a section is on the page where it begins


def test_a_file_with_macros_is_read_as_its_plain_kin(tmp_path: Path) -> None:
    word = docx.Document()
    word.add_paragraph("正文。")
    path = saved(word, tmp_path, "a.docm")
    plain = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    macro = b"application/vnd.ms-word.document.macroEnabled.main+xml"
    with members(path) as parts:
        assert plain in parts["[Content_Types].xml"]
        parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(plain, macro)
    assert Reading(path).blocks == [("正文。",)]


def docx_bytes() -> bytes:
    data = BytesIO()
    word = docx.Document()
    word.add_paragraph("正文。")
    word.save(data)
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "The file is empty."),
        (b"not a zip at all", "The Word file is corrupt: File is not a zip file."),
        (docx_bytes()[:-200], "The Word file is corrupt"),
        (OLD_OFFICE, "The Word file is in the old binary format: save it in the new one."),
        (ENCRYPTED_OFFICE, "The Word file is encrypted: a password is needed to read it."),
    ],
)
def test_what_is_no_word_file(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / DOCX).write_bytes(data)
    assert Reading(tmp_path / DOCX).failure.startswith(reason)


def test_an_archive_of_something_else_a_broken_part_and_a_document_without_text(tmp_path: Path) -> None:
    path = tmp_path / DOCX
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")
    assert "corrupt" in Reading(path).failure
    path.write_bytes(docx_bytes())
    with members(path) as parts:
        parts["word/document.xml"] = b"<w:document"
    assert "corrupt" in Reading(path).failure
    assert "is empty" in Reading(saved(docx.Document(), tmp_path)).failure


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / DOCX
    path.write_bytes(docx_bytes())
    with members(path) as parts:
        parts["word/media/image.png"] = b"\0" * 6_000_000
    assert path.stat().st_size < 100_000
    assert "MB, more than the 5 MB that BOTHWAYS_MAX_FILE_MB" in Reading(path).failure
    path.write_bytes(docx_bytes())
    with members(path) as parts:
        parts["word/styles.xml"] = b" " * 51_000_000
    assert "'word/styles.xml' has 51 MB of markup" in Reading(path, max_file_mb=100).failure


def test_entities_are_not_expanded(tmp_path: Path) -> None:
    path = tmp_path / DOCX
    path.write_bytes(docx_bytes())
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
    with members(path) as parts:
        parts["word/document.xml"] = (
            f'<!DOCTYPE d [<!ENTITY e0 "boom">{entities}]><w:document {nsdecls("w")}>'
            "<w:body><w:p><w:r><w:t>&e8;</w:t></w:r></w:p></w:body></w:document>"
        ).encode()
    assert not Reading(path).documents
