"""PDF: a document a page, in whole paragraphs, without what repeats on every page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pymupdf
import pytest

from bothways.core.datatypes import Document, Failure
from bothways.indexer.read import document_id, read
from bothways.indexer.read.pdf import lines as pdf_lines
from bothways.indexer.read.pdf import pages as pdf
from bothways.indexer.read.pdf.ocr import load_ocr, to_lines
from bothways.indexer.read.pdf.tables import find_header, row_text
from tests.indexer.pdfs import draw_table, make_pdf, make_scan


def read_bytes(folder: Path, data: bytes) -> tuple[list[Document], list[Failure], dict[str, str]]:
    (folder / "a.pdf").write_bytes(data)
    failures: list[Failure] = []
    skipped: dict[str, str] = {}
    documents = read(folder / "a.pdf", max_file_mb=5, on_failure=failures.append, on_skip=skipped.__setitem__)
    return list(documents), failures, skipped


def test_latin_lines_become_paragraphs(tmp_path: Path) -> None:
    text = [
        (72, 120, "The parties shall perform their obligations fully as agreed in the con-"),
        (72, 136, "tract, and shall observe the principle of good faith in all that they do"),
        (72, 152, "for one another."),
        (72, 200, "A second paragraph stands apart."),
    ]
    [document], failures, _ = read_bytes(tmp_path, make_pdf([text]).tobytes())
    assert not failures
    assert document.blocks == (
        f"{text[0][2][:-4]}contract{text[1][2][5:]} for one another.",
        "A second paragraph stands apart.",
    )
    assert document.doc_id == document_id("a.pdf", 1)
    assert (document.title, document.metadata) == ("a", {"page": "1"})


def test_chinese_lines_are_joined_without_a_space_and_indents_begin_paragraphs(tmp_path: Path) -> None:
    text = [
        (96, 120, "合同当事人应当按照约定全面履行自己的义务，当事人应当遵循诚信原则，"),
        (72, 138, "根据合同的性质、目的和交易习惯履行通知、协助、保密等义务，不得随意违"),
        (72, 156, "反约定。"),
        (96, 174, "当事人在履行合同过程中应当避免浪费资源。"),
    ]
    [document], _, _ = read_bytes(tmp_path, make_pdf([text], "china-s").tobytes())
    assert len(document.blocks) == 2
    assert "诚信原则，根据合同" in document.blocks[0]
    assert document.blocks[0].endswith("不得随意违反约定。")


def test_running_lines_and_page_numbers_are_dropped(tmp_path: Path) -> None:
    pages = [
        [(72, 40, "Annual Report 2024"), (72, 200, f"Body of page {n} is here."), (280, 820, f"Page {n} of 3")]
        for n in (1, 2, 3)
    ]
    documents, _, _ = read_bytes(tmp_path, make_pdf(pages).tobytes())
    assert [d.blocks for d in documents] == [(f"Body of page {n} is here.",) for n in (1, 2, 3)]
    assert [d.metadata["page"] for d in documents] == ["1", "2", "3"]


def test_a_sentence_belongs_to_the_page_it_begins_on(tmp_path: Path) -> None:
    first = [(72, 700, "This sentence is cut by the end of the page and it runs on over there")]
    second = [(72, 120, "until it ends. Another one follows on the second page.")]
    documents, _, _ = read_bytes(tmp_path, make_pdf([first, second]).tobytes())
    assert [d.text for d in documents] == [
        "This sentence is cut by the end of the page and it runs on over there until it ends.",
        "Another one follows on the second page.",
    ]


def test_an_encrypted_pdf(tmp_path: Path) -> None:
    data = make_pdf([[(72, 120, "secret")]]).tobytes(encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="u", owner_pw="o")
    documents, [failure], _ = read_bytes(tmp_path, data)
    assert not documents
    assert "encrypted" in failure.reason


@pytest.mark.parametrize("keep", [20, 200])
def test_a_truncated_pdf(tmp_path: Path, keep: int) -> None:
    documents, [failure], _ = read_bytes(tmp_path, make_pdf([[(72, 120, "text")]]).tobytes()[:keep])
    assert not documents
    assert "corrupt" in failure.reason


@pytest.mark.parametrize("data", [b"no pdf at all", b"%PDF-1.7\nrubbish"])
def test_what_is_no_pdf(tmp_path: Path, data: bytes) -> None:
    documents, [failure], _ = read_bytes(tmp_path, data)
    assert not documents
    assert "corrupt" in failure.reason


def test_pages_without_text(tmp_path: Path) -> None:
    _, [failure], _ = read_bytes(tmp_path, make_pdf([[], []]).tobytes())
    assert "has no text" in failure.reason
    documents, failures, skipped = read_bytes(tmp_path, make_pdf([[], [(72, 120, "text")], [], []]).tobytes())
    assert [document.metadata for document in documents] == [{"page": "2"}]
    assert not failures
    assert skipped == {"a.pdf": "No text on pages 1, 3-4 of 4."}


def test_a_mark_of_chinese_brings_its_own_space(tmp_path: Path) -> None:
    text = [(72, 120, "案件编号： 第七号（下同）。 2024年起施行。"), (72, 170, "Two words, one space.")]
    [document], _, _ = read_bytes(tmp_path, make_pdf([text], "china-s").tobytes())
    assert document.blocks == ("案件编号：第七号（下同）。2024年起施行。", "Two words, one space.")


def test_a_list_within_a_sentence_begins_no_paragraph(tmp_path: Path) -> None:
    lines = [
        (96, 120, "某区人民法院作出判决：一、解除双方订立的买卖合同；二、李某返还价款；"),
        (72, 138, "三、驳回张某的其他诉讼请求。宣判后，双方均未上诉，判决已经发生法律效力，"),
        (72, 156, "（2023）某01民初1号民事判决书。"),
        (96, 174, "二、另查明的事实。"),
    ]
    [document], _, _ = read_bytes(tmp_path, make_pdf([lines], "china-s").tobytes())
    assert document.blocks == ("".join(text for _, _, text in lines[:3]), lines[3][2])


def test_a_space_at_the_end_of_a_full_line_ends_its_paragraph(tmp_path: Path) -> None:
    full = "合同当事人应当按照约定全面履行自己的义务，并且应当遵循诚信原则，不得违约。"
    lines = [(72, 120 + 18 * number, full + (" " if number == 1 else "")) for number in range(4)]
    [document], _, _ = read_bytes(tmp_path, make_pdf([lines], "china-s").tobytes())
    assert document.blocks == (full * 2, full * 2)
    lines = [(x, y, text.strip() + " ") for x, y, text in lines]  # as some programs write every line
    [document], _, _ = read_bytes(tmp_path, make_pdf([lines], "china-s").tobytes())
    assert document.blocks == (full * 4,)


def damaged(pages: int, page: int) -> bytes:
    """A PDF of which the contents of one page (from 1) cannot be decompressed."""
    pdf = make_pdf([[(72, 120, f"This is page {number}.")] for number in range(1, pages + 1)])
    data = bytearray(pdf.tobytes(deflate=True, no_new_id=True))
    with pymupdf.open(stream=bytes(data)) as written:
        [xref] = written[page - 1].get_contents()
        raw = written.xref_stream_raw(xref)
    assert data.count(raw) == 1
    place = data.index(raw)
    data[place : place + len(raw)] = b"\xff" * len(raw)
    return bytes(data)


def test_a_damaged_page_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    documents, [failure], skipped = read_bytes(tmp_path, damaged(pages=3, page=2))
    assert [document.blocks for document in documents] == [("This is page 1.",), ("This is page 3.",)]
    assert failure.reason.startswith("Page 2 cannot be read: ")
    assert not skipped


def test_a_page_that_cannot_be_loaded_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lines(page: pymupdf.Page, tables: object) -> list[pdf_lines.Line]:
        if page.number == 0:
            raise RuntimeError("object out of range")
        return pdf_lines.page_lines(page, [])

    monkeypatch.setattr(pdf, "page_lines", lines)
    documents, [failure], _ = read_bytes(tmp_path, make_pdf([[(72, 120, "one")], [(72, 120, "two")]]).tobytes())
    assert [document.metadata["page"] for document in documents] == ["2"]
    assert failure.reason == "Page 1 cannot be read: object out of range"


def test_a_cut_off_pdf_gives_what_is_left_and_says_so(tmp_path: Path) -> None:
    data = make_pdf([[(72, 120, f"This is page {number}.")] for number in range(20)]).tobytes()
    documents, _, skipped = read_bytes(tmp_path, data[: len(data) * 9 // 10])
    assert documents[0].blocks == ("This is page 0.",)
    assert "cut off" in skipped["a.pdf"]


def test_pages_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long PDF gives its first document when two blocks of pages are read, not all of them."""
    read_pages = 0

    def count(page: pymupdf.Page, tables: object) -> list[pdf_lines.Line]:
        nonlocal read_pages
        read_pages += 1
        return pdf_lines.page_lines(page, [])

    monkeypatch.setattr(pdf, "page_lines", count)
    path = tmp_path / "a.pdf"
    path.write_bytes(make_pdf([[(72, 200, f"Body of page {number}.")] for number in range(150)]).tobytes())
    documents = read(path, max_file_mb=5, on_failure=pytest.fail)
    assert next(documents).blocks == ("Body of page 0.",)
    assert read_pages <= 64
    assert len(list(documents)) == 149
    assert read_pages == 150


def test_running_lines_of_a_long_pdf_are_those_around(tmp_path: Path) -> None:
    pages = [
        [(72, 40, "First book" if number < 70 else "Second book"), (72, 200, f"Body of page {number}.")]
        for number in range(140)
    ]
    documents, _, _ = read_bytes(tmp_path, make_pdf(pages).tobytes())
    left = [document.metadata["page"] for document in documents if len(document.blocks) > 1]
    assert left == [str(number) for number in range(71, 97)]  # up to page 96 most pages around have the old header
    assert len(documents) == 140


TABLE = [["地区", "月标准", "小时标准"], ["北京", "2420元", "26.4元"], ["上海", "2690元", ""]]
ROWS = ("地区：北京；月标准：2420元；小时标准：26.4元", "地区：上海；月标准：2690元")


def test_a_ruled_table_is_read_by_row_in_its_place(tmp_path: Path) -> None:
    document = make_pdf([[(72, 140, "各地区的最低工资标准如下。"), (72, 260, "以上标准不包括加班费。")]], "china-s")
    draw_table(document[0], TABLE)
    [page], failures, _ = read_bytes(tmp_path, document.tobytes())
    assert not failures
    assert page.blocks == ("各地区的最低工资标准如下。", *ROWS, "以上标准不包括加班费。")
    assert page.metadata == {"page": "1"}


def test_a_table_on_a_page_that_is_shown_turned(tmp_path: Path) -> None:
    upright = pymupdf.open()
    draw_table(upright.new_page(width=842, height=595), TABLE)
    document = pymupdf.open()
    page = document.new_page(width=595, height=842)
    page.show_pdf_page(page.rect, upright, 0, rotate=90)
    page.set_rotation(90)
    [read_page], _, _ = read_bytes(tmp_path, document.tobytes())
    assert read_page.blocks == ROWS


def test_a_table_that_goes_on_keeps_its_header(tmp_path: Path) -> None:
    document = make_pdf([[], [], []])
    draw_table(document[0], TABLE[:2])
    draw_table(document[1], [["上海", "2690元", "24元"], ["广东", "2300元", "22.2元"]])  # no header
    draw_table(document[2], [TABLE[0], ["四川", "2100元", "22元"]])  # the header again
    pages, _, _ = read_bytes(tmp_path, document.tobytes())
    assert [page.blocks for page in pages] == [
        (ROWS[0],),
        ("地区：上海；月标准：2690元；小时标准：24元", "地区：广东；月标准：2300元；小时标准：22.2元"),
        ("地区：四川；月标准：2100元；小时标准：22元",),
    ]


def test_lines_within_a_cell_are_joined_and_a_cell_over_two_rows_stands_in_both(tmp_path: Path) -> None:
    document = make_pdf([[]])
    page = document[0]
    for y, start in ((100, 72), (130, 72), (180, 182), (230, 72)):
        page.draw_line((start, y), (402, y))
    for x in (72, 182, 292, 402):
        page.draw_line((x, 100), (x, 230))
    cells = [
        *[(76, 120, "类别"), (186, 120, "事项"), (296, 120, "期限"), (76, 180, "民事")],
        *[(186, 150, "符合条件的"), (186, 168, "起诉应当立案"), (296, 150, "七日")],
        *[(186, 210, "简易程序审理"), (296, 210, "三个月")],
    ]
    for x, y, text in cells:
        page.insert_text((x, y), text, fontsize=11, fontname="china-s")
    [read_page], _, _ = read_bytes(tmp_path, document.tobytes())
    assert read_page.blocks == (
        "类别：民事；事项：符合条件的起诉应当立案；期限：七日",
        "类别：民事；事项：简易程序审理；期限：三个月",
    )


@pytest.mark.parametrize(
    ("cells", "header", "text"),
    [
        (["Chair", "12.50", ""], ["Item", "Price", "Note"], "Item: Chair; Price: 12.50"),
        (["姓名", "张三"], [], "姓名：张三"),
        (["a", "", "c"], [], "a | c"),
        (["仅此"], [], "仅此"),
    ],
)
def test_a_row_as_text(cells: list[str], header: list[str], text: str) -> None:
    assert row_text(cells, header) == text


@pytest.mark.parametrize(
    ("rows", "header"),
    [
        ([["a", "b", "c"], ["1", "2", "3"]], ("a", "b", "c")),
        ([["a", "b"], ["1", "2"]], ()),  # two columns: a name and its value, as a rule
        ([["2023", "2024", "2025"], ["1", "2", "3"]], ()),
        ([["a", "", "c"], ["1", "2", "3"]], ()),
        ([["a", "a", "c"], ["1", "2", "3"]], ()),
        ([["a", "b", "c"]], ()),
    ],
)
def test_which_first_rows_are_headers(rows: list[list[str | None]], header: tuple[str, ...]) -> None:
    assert find_header(rows) == header


def test_rows_without_rules_stay_rows(tmp_path: Path) -> None:
    text = [
        (72 + 150 * column, 150 + 18 * row, cell)
        for row, cells in enumerate(TABLE)
        for column, cell in enumerate(cells)
    ]
    [document], _, _ = read_bytes(tmp_path, make_pdf([text], "china-s").tobytes())
    assert document.blocks == ("地区 月标准 小时标准", "北京 2420元 26.4元", "上海 2690元")


def test_a_frame_and_squared_paper_are_no_tables(tmp_path: Path) -> None:
    document = make_pdf([[(72, 150, "Text in a frame.")], [(72, 150, "Text on squared paper.")]])
    document[0].draw_rect((50, 50, 545, 792))
    for number in range(40):
        document[1].draw_line((50, 50 + 15 * number), (545, 50 + 15 * number))
        document[1].draw_line((50 + 12 * number, 50), (50 + 12 * number, 750))
    pages, _, skipped = read_bytes(tmp_path, document.tobytes())
    assert [page.blocks for page in pages] == [("Text in a frame.",), ("Text on squared paper.",)]
    assert not skipped


def test_where_the_table_finder_fails_the_page_is_read_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(page: object, above: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(pdf, "page_tables", fail)
    [document], failures, skipped = read_bytes(tmp_path, make_pdf([[(72, 150, "Text.")]]).tobytes())
    assert document.blocks == ("Text.",)
    assert not failures
    assert "tables on page 1 are read as plain text" in skipped["a.pdf"]


SCANNED = ["劳动合同", "用人单位应当按月向劳动者支付", "二倍的工资。"]


@pytest.fixture
def without_ocr(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    load_ocr.cache_clear()
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    yield
    load_ocr.cache_clear()


@pytest.mark.usefixtures("without_ocr")
def test_a_scanned_pdf_says_how_it_can_be_read(tmp_path: Path) -> None:
    documents, [failure], _ = read_bytes(tmp_path, make_scan(SCANNED, make_scan(SCANNED)).tobytes())
    assert not documents
    assert failure.item == "a.pdf"
    assert "pages 1-2 of 2" in failure.reason
    assert 'pip install "bothways[ocr]"' in failure.reason


@pytest.mark.usefixtures("without_ocr")
def test_scanned_pages_among_others_are_named(tmp_path: Path) -> None:
    mixed = make_scan(SCANNED, make_pdf([[(72, 150, "One.")]]))
    mixed.new_page().insert_text((72, 150), "Three.")
    mixed = make_scan(SCANNED, mixed)
    mixed[3].insert_text((140, 156), "Page 4", fontsize=6)  # a number printed over the scan
    documents, [failure], skipped = read_bytes(tmp_path, mixed.tobytes())
    assert [(document.metadata["page"], document.text) for document in documents] == [("1", "One."), ("3", "Three.")]
    assert failure.reason.startswith("Scanned images without text: pages 2, 4 of 4.")
    assert not skipped


@pytest.mark.usefixtures("without_ocr")
def test_a_page_with_text_beside_a_picture_is_no_scan(tmp_path: Path) -> None:
    document = make_scan(SCANNED)
    document[0].insert_text((72, 120), "A caption.")
    [page], failures, _ = read_bytes(tmp_path, document.tobytes())
    assert page.metadata == {"page": "1"}
    assert not failures


def test_scanned_pages_are_read_by_ocr(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    documents, failures, _ = read_bytes(tmp_path, make_scan(SCANNED, make_pdf([[(72, 150, "One.")]])).tobytes())
    assert not failures
    assert [document.metadata for document in documents] == [{"page": "1"}, {"page": "2", "ocr": "true"}]
    assert documents[1].blocks == (SCANNED[0], SCANNED[1] + SCANNED[2])


def test_boxes_become_lines() -> None:
    def box(x0: float, y0: float, x1: float, y1: float) -> list[list[float]]:
        return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]

    slanted = [[100, 100], [150, 20], [160, 26], [110, 106]]
    boxes = np.array([box(50, 101, 150, 121), box(0, 100, 40, 122), box(0, 140, 150, 158), slanted], np.float32)
    lines = to_lines(boxes, ["世界", "你好", "再见", "水印"])
    assert [line.text for line in lines] == ["你好 世界", "再见"]
    assert len({line.size for line in lines}) == 1
