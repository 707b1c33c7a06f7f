"""Spreadsheets: rows that say what their columns mean, from Excel and from CSV in any encoding."""

from __future__ import annotations

import re
import tracemalloc
from datetime import date, datetime, time
from pathlib import Path

import openpyxl
import pytest
from openpyxl.workbook import Workbook

from bothways.core.datatypes import Document
from bothways.indexer.read import document_id, read
from tests.indexer.reading import ENCRYPTED_OFFICE, OLD_OFFICE, Reading, members


def csv_file(folder: Path, text: str, encoding: str = "utf-8", name: str = "a.csv") -> Path:
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def workbook(*rows: tuple[object, ...]) -> Workbook:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    return book


def saved(book: Workbook, folder: Path, name: str = "a.xlsx") -> Path:
    book.save(folder / name)
    return folder / name


def test_a_row_names_its_columns(tmp_path: Path) -> None:
    path = csv_file(tmp_path, '姓名,电话,备注\n张三,123,\n李四,456,"分机\n8"\n,,\n王五,,夜班,多出\n')
    reading = Reading(path)
    assert reading.blocks == [
        ("姓名: 张三；电话: 123", "姓名: 李四；电话: 456；备注: 分机 8", "姓名: 王五；备注: 夜班；多出")
    ]
    [document] = reading.documents
    assert (document.title, document.heading, document.metadata) == ("a", "a", {"rows": "2-5"})
    assert document.doc_id == document_id("a.csv", page=1, record=0)


def test_twenty_rows_are_a_document_wherever_blank_ones_stand(tmp_path: Path) -> None:
    lines = ["编号,名称", *(f"{n},物品{n}" for n in range(2, 43))]
    lines[9] = ""
    reading = Reading(csv_file(tmp_path, "\n".join(lines)))
    assert [document.metadata["rows"] for document in reading.documents] == ["2-19", "20-39", "40-42"]
    assert [len(document.blocks) for document in reading.documents] == [17, 20, 3]
    assert reading.documents[1].blocks[0] == "编号: 20；名称: 物品20"
    lines[9] = "10,回来"
    again = Reading(csv_file(tmp_path, "\n".join(lines)))
    assert again.blocks[1:] == reading.blocks[1:]


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("1,2\n3,4", ("1 | 2", "3 | 4")),  # numbers name nothing
        ("问,答\n", ("问 | 答",)),  # nothing below it
        ("甲,甲\n乙,丙", ("甲 | 甲", "乙 | 丙")),  # not different
        ("年假几天？,五天。\n病假几天？,三天。", ("年假几天？ | 五天。", "病假几天？ | 三天。")),  # sentences
        ("苹果\n梨", ("苹果", "梨")),  # a list
        ("地区,2023,2024\n北京,5,6", ("地区: 北京；2023: 5；2024: 6",)),  # years do
        ("日期,2024-01-02\n甲,乙", ("日期 | 2024-01-02", "甲 | 乙")),
    ],
)
def test_what_is_a_header(tmp_path: Path, text: str, blocks: tuple[str, ...]) -> None:
    assert Reading(csv_file(tmp_path, text)).blocks == [blocks]


def test_lines_above_the_table_are_its_caption(tmp_path: Path) -> None:
    [document] = Reading(csv_file(tmp_path, "2024年值班表,,\n单位：行政部,,\n日期,姓名,电话\n元旦,张三,1")).documents
    assert document.heading == "a › 2024年值班表 单位：行政部"
    assert document.blocks == ("日期: 元旦；姓名: 张三；电话: 1",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030", "big5"])
def test_every_encoding(tmp_path: Path, encoding: str) -> None:
    text = (
        "姓名,地址\n王小明,台北市中山區南京東路一段\n" if encoding == "big5" else "姓名,地址\n张三,北京市海淀区中关村\n"
    )
    [(line,)] = Reading(csv_file(tmp_path, text, encoding)).blocks
    assert line.startswith("姓名: ")
    assert line.endswith(text.strip().split(",")[-1])


def test_the_encoding_is_told_even_if_the_first_megabyte_is_ascii(tmp_path: Path) -> None:
    text = "id,name\n" + "7,plain\n" * 200_000 + "8,合同当事人应当履行义务\n"
    reading = Reading(csv_file(tmp_path, text, "gb18030"))
    assert reading.blocks[-1][-1] == "id: 8；name: 合同当事人应当履行义务"


@pytest.mark.parametrize(
    ("text", "name"),
    [("甲,一;乙\n丙;丁\n戊;己", "a.csv"), ("甲,一\t乙\n丙\t丁\n戊\t己", "a.tsv"), ("甲,一|乙\n丙|丁\n戊|己", "a.csv")],
)
def test_the_delimiter_is_told_by_the_lines(tmp_path: Path, text: str, name: str) -> None:
    assert Reading(csv_file(tmp_path, text, name=name)).blocks == [("甲,一: 丙；乙: 丁", "甲,一: 戊；乙: 己")]


def test_bad_csv(tmp_path: Path) -> None:
    assert Reading(csv_file(tmp_path, "")).failure == "The file is empty."
    assert Reading(csv_file(tmp_path, ",,\n,,\n")).failure == "The file is empty: it has no rows."
    unclosed = csv_file(tmp_path, '甲,乙\n1,"' + "长" * 140_000)
    assert "Row 2 is not valid CSV: field larger than field limit" in Reading(unclosed).failure
    path = tmp_path / "a.csv"
    path.write_bytes(b"PK\x03\x04" + b"\0" * 100)
    assert "binary data" in Reading(path).failure
    path.write_bytes("甲,乙\n".encode() * 200_000 + b"\xff\xfe,1\n")
    [failure] = Reading(path).failures
    assert re.fullmatch(r"The file is not valid utf-8 after row 199\d{3}; save it as UTF-8\.", failure)


def test_sheets_of_a_workbook(tmp_path: Path) -> None:
    book = workbook(("姓名", "工号"), ("张三", 7))
    prices = book.create_sheet("价格")
    prices.append(("品名", "单价", "折扣", "日期", "时刻", "有货"))
    prices.append(("水壶", 199.0, 0.15, datetime(2024, 5, 1), time(9, 30), True))
    prices.append(("滤芯", 0.1 + 0.2, 1, datetime(2024, 5, 1, 8, 5), None, False))
    prices["C2"].number_format = "0.0%"
    prices["D2"].number_format = "yyyy-mm-dd"
    prices.append(("编号", 1234567890123, "#N/A", date(2024, 5, 2)))
    hidden = book.create_sheet("底价")
    hidden.append(("甲", "乙"))
    hidden.sheet_state = "hidden"
    book.create_sheet("空")
    reading = Reading(saved(book, tmp_path))
    assert reading.blocks == [
        ("姓名: 张三；工号: 7",),
        (
            "品名: 水壶；单价: 199；折扣: 15%；日期: 2024-05-01；时刻: 09:30:00；有货: TRUE",
            "品名: 滤芯；单价: 0.3；折扣: 1；日期: 2024-05-01 08:05:00；有货: FALSE",
            "品名: 编号；单价: 1234567890123；日期: 2024-05-02",
        ),
    ]
    assert reading.headings == ["a", "a › 价格"]
    assert [document.metadata for document in reading.documents] == [
        {"sheet": "Sheet", "rows": "2-2"},
        {"sheet": "价格", "rows": "2-4"},
    ]
    assert reading.skipped == ["Sheet '底价' is hidden."]


def test_formulas_count_by_their_saved_values(tmp_path: Path) -> None:
    path = saved(workbook(("项", "值"), ("和", "=1+1"), ("名", '=""'), ("差", "=2-1")), tmp_path)
    with members(path) as parts:
        sheet = parts["xl/worksheets/sheet1.xml"]
        assert b"<f>1+1</f><v></v>" in sheet or b"<f>1+1</f><v/>" in sheet or b"<f>1+1</f><v />" in sheet
        for empty in (b"<v></v>", b"<v/>", b"<v />"):
            sheet = sheet.replace(b"<f>1+1</f>" + empty, b"<f>1+1</f><v>2</v>")
        parts["xl/worksheets/sheet1.xml"] = sheet.replace(b'r="B3"', b'r="B3" t="str"')
    reading = Reading(path)
    assert reading.blocks == [("项: 和；值: 2", "项: 名", "项: 差")]
    [skipped] = reading.skipped
    assert skipped.startswith("1 formulas were saved without their values")


def test_a_workbook_of_formulas_that_nobody_calculated(tmp_path: Path) -> None:
    assert "none of its 2 formulas was ever calculated" in Reading(saved(workbook(("=1+1", "=2")), tmp_path)).failure


def test_the_size_that_a_sheet_claims_is_not_believed(tmp_path: Path) -> None:
    path = saved(workbook(("甲", "乙"), ("丙", "丁")), tmp_path, "a.xlsm")
    with members(path) as parts:
        sheet = parts["xl/worksheets/sheet1.xml"]
        assert b'ref="A1:B2"' in sheet
        sheet = sheet.replace(b'ref="A1:B2"', b'ref="A1:XFD1048576"')
        blank = b"".join(b'<row r="%d"><c r="A%d" s="0"/></row>' % (n, n) for n in range(3, 30_000))
        last = b'<row r="1048576"><c r="A1048576" t="inlineStr"><is><t>%s</t></is></c></row>' % "末".encode()
        parts["xl/worksheets/sheet1.xml"] = sheet.replace(b"</sheetData>", blank + last + b"</sheetData>")
    reading = Reading(path)
    assert reading.blocks == [("甲: 丙；乙: 丁",), ("甲: 末",)]
    assert reading.documents[1].metadata["rows"] == "1048576-1048576"


def test_a_sheet_that_is_wider_than_any_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bothways.indexer.read.office.workbook._MAX_CELLS", 100_000)
    path = saved(workbook(("甲", "乙")), tmp_path)
    with members(path) as parts:
        wide = b"".join(b'<row r="%d"><c r="XFD%d" s="0"/></row>' % (n, n) for n in range(2, 100))
        parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"].replace(
            b"</sheetData>", wide + b"</sheetData>"
        )
    assert "is too large: row 8" in Reading(path).failures[0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "The file is empty."),
        ("甲,乙".encode(), "The Excel file is corrupt"),
        (OLD_OFFICE, "The Excel file is in the old binary format"),
        (ENCRYPTED_OFFICE, "The Excel file is encrypted"),
    ],
)
def test_what_is_no_workbook(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.xlsx").write_bytes(data)
    assert Reading(tmp_path / "a.xlsx").failure.startswith(reason)


def test_an_empty_workbook_a_broken_sheet_and_a_bomb(tmp_path: Path) -> None:
    assert "is empty" in Reading(saved(workbook(), tmp_path)).failure
    path = saved(workbook(("甲", "乙")), tmp_path)
    with members(path) as parts:
        parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"][:-30]
    assert "The Excel file is corrupt" in Reading(path).failures[0]
    with members(path) as parts:
        parts["xl/worksheets/sheet1.xml"] = b" " * 51_000_000
    assert "unpacks to 51 MB, more than the 50 MB" in Reading(path).failure
    with members(path) as parts:
        parts["xl/sharedStrings.xml"] = b" " * 51_000_000
        del parts["xl/worksheets/sheet1.xml"]
    assert "'xl/sharedStrings.xml' has 51 MB" in Reading(path, max_file_mb=100).failure


def test_rows_stream(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "编号,说明\n" + "".join(f"{n},{'长' * 60}\n" for n in range(30_000)))

    def first(count: int) -> list[Document]:
        documents = read(path, max_file_mb=100, on_failure=print)
        return [document for document, _ in zip(documents, range(count), strict=False)]

    first(1)
    tracemalloc.start()
    for _ in read(path, max_file_mb=100, on_failure=print):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 5_500_000
    assert peak < 5_000_000  # one megabyte is looked at to tell the encoding
