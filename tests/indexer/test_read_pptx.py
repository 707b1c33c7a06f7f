"""PowerPoint: a document a slide, in the order of the file, with tables, diagrams and notes."""

from __future__ import annotations

from pathlib import Path

import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI
from pptx.presentation import Presentation
from pptx.util import Cm

from bothways.indexer.read import document_id
from tests.indexer.reading import ENCRYPTED_OFFICE, OLD_OFFICE, Reading, members

TITLE, TITLE_AND_BODY, TITLE_ONLY, BLANK = 0, 1, 5, 6
BOX = (Cm(1), Cm(1), Cm(8), Cm(4))


def saved(deck: Presentation, folder: Path, name: str = "a.pptx") -> Path:
    deck.save(str(folder / name))
    return folder / name


def slide(deck: Presentation, layout: int, *texts: str) -> pptx.slide.Slide:
    new = deck.slides.add_slide(deck.slide_layouts[layout])
    for shape, text in zip(new.placeholders, texts, strict=False):
        shape.text_frame.text = text
    return new


def test_a_slide_is_a_document_with_its_number_and_title(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    slide(deck, TITLE, "消防培训", "行政部")
    slide(deck, BLANK)
    second = slide(deck, TITLE_AND_BODY, "灭火器", "拔销\n握管\v对准")
    second.notes_slide.notes_text_frame.text = "现场演示。"
    slide(deck, TITLE_ONLY, "谢谢")
    reading = Reading(saved(deck, tmp_path))
    assert reading.blocks == [("行政部",), ("拔销\n握管\n对准", "现场演示。"), ("谢谢",)]
    assert reading.headings == ["消防培训", "消防培训 › 灭火器", "消防培训 › 谢谢"]
    assert {document.title for document in reading.documents} == {"消防培训"}
    assert [document.metadata["page"] for document in reading.documents] == ["1", "3", "4"]
    assert reading.documents[1].metadata["section"] == "灭火器"
    assert reading.documents[1].doc_id == document_id("a.pptx", page=3)
    assert reading.skipped == ["1 of 4 slides have no text."]


def test_tables_groups_charts_and_diagrams(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    page = slide(deck, BLANK)
    table = page.shapes.add_table(3, 2, *BOX).table
    for row, texts in zip(table.rows, (("楼层", "出口"), ("一层", "东门"), ("二层", "")), strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    table.cell(1, 1).merge(table.cell(2, 1))
    inner = page.shapes.add_group_shape().shapes.add_group_shape()
    inner.shapes.add_textbox(*BOX).text_frame.text = "组中组"
    data = CategoryChartData()
    data.categories = ["甲"]
    data.add_series("人数", (1,))
    chart = page.shapes.add_chart(XL_CHART_TYPE.PIE, *BOX, data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "各层人数"
    names = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:d="d"'
    points = "".join(f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>" for text in ("报警", "疏散", ""))
    part = Part(
        PackURI("/ppt/diagrams/data1.xml"), "text/xml", deck.part.package, f"<d:d {names}>{points}</d:d>".encode()
    )
    page.part.relate_to(part, "http://schemas.openxmlformats.org/officeDocument/2006/relationships/diagramData")
    reading = Reading(saved(deck, tmp_path))
    assert reading.blocks == [("楼层 | 出口\n一层 | 东门\n二层 | ", "组中组", "各层人数", "报警\n疏散")]
    assert reading.headings == ["a"]


def test_footers_and_hidden_slides_are_left_out(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    shown = slide(deck, TITLE_AND_BODY, "公开", "正文")
    layout = deck.slide_layouts[TITLE_AND_BODY]
    footer = next(shape for shape in layout.placeholders if "FOOTER" in str(shape.placeholder_format.type))
    shown.shapes.clone_placeholder(footer)
    shown.placeholders[footer.placeholder_format.idx].text_frame.text = "机密"
    slide(deck, TITLE_AND_BODY, "隐藏", "草稿").element.set("show", "0")
    reading = Reading(saved(deck, tmp_path))
    assert reading.blocks == [("正文",)]
    assert reading.skipped == ["1 of 2 slides are hidden."]


def test_a_file_with_macros_is_read_as_its_plain_kin(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    slide(deck, TITLE_AND_BODY, "题", "正文")
    path = saved(deck, tmp_path, "a.pptm")
    plain = b"application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
    with members(path) as parts:
        assert plain in parts["[Content_Types].xml"]
        macro = b"application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml"
        parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(plain, macro)
    assert Reading(path).blocks == [("正文",)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "The file is empty."),
        (b"PK\x03\x04 and no more", "The PowerPoint file is corrupt"),
        (OLD_OFFICE, "The PowerPoint file is in the old binary format"),
        (ENCRYPTED_OFFICE, "The PowerPoint file is encrypted"),
    ],
)
def test_what_is_no_presentation(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.pptx").write_bytes(data)
    assert Reading(tmp_path / "a.pptx").failure.startswith(reason)


def test_a_presentation_without_text_or_with_a_broken_slide(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    path = saved(deck, tmp_path)
    assert Reading(path).failure == "The PowerPoint file is empty: none of its 0 slides shows text."
    slide(deck, TITLE_AND_BODY, "题", "正文")
    saved(deck, tmp_path)
    with members(path) as parts:
        del parts["ppt/slides/slide1.xml"]
    assert "corrupt" in Reading(path).failure
