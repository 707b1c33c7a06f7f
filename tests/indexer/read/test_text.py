"""Plain text: encodings, paragraphs, and binary files under a wrong name."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from bothways.core.datatypes import Document, Failure
from bothways.core.errors import ReadError
from bothways.indexer.read import read
from bothways.indexer.read.files.encoding import decode
from bothways.indexer.read.text import join_lines, paragraphs

SIMPLE = "第一百条说明：合同当事人应当按照约定全面履行自己的义务。\n当事人应当遵循诚信原则。"
TRADITIONAL = "契約當事人應當按照約定全面履行自己的義務。\n當事人應當遵循誠信原則，保護環境。"


def read_bytes(folder: Path, data: bytes, name: str = "a.txt") -> tuple[list[Document], list[Failure]]:
    (folder / name).write_bytes(data)
    failures: list[Failure] = []
    return list(read(folder / name, max_file_mb=1, on_failure=failures.append)), failures


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030", "gbk"]
)
def test_simplified_chinese_in_every_encoding(encoding: str) -> None:
    assert decode(SIMPLE.encode(encoding)) == SIMPLE


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "big5"])
def test_traditional_chinese_in_every_encoding(encoding: str) -> None:
    assert decode(TRADITIONAL.encode(encoding)) == TRADITIONAL


@pytest.mark.parametrize("text", ["你好", "交通肇事", "民法典\n第一条", "见死不救犯法吗？"])
def test_short_gbk_is_not_misjudged(text: str) -> None:
    assert decode(text.encode("gbk")) == text


def test_gbk_is_not_misjudged_after_a_long_beginning_in_ascii() -> None:
    text = "x = 1\n" * 5_000 + SIMPLE
    assert decode(text.encode("gbk")) == text


def test_western_text() -> None:
    assert decode("Le café est fermé à cause de l’été.".encode("cp1252")) == "Le café est fermé à cause de l’été."
    russian = "Договор считается заключённым, если между сторонами достигнуто соглашение по всем условиям."
    assert decode(russian.encode("cp1251")) == russian


def test_big_endian_utf_16_with_mark() -> None:
    assert decode(codecs.BOM_UTF16_BE + SIMPLE.encode("utf-16-be")) == SIMPLE


def test_line_ends_and_control_characters_are_tidied() -> None:
    assert decode("a\r\nb\rc\x07\ufeff".encode()) == "a\nb\nc"


@pytest.mark.parametrize("data", [b"", b" \n\t", "\u3000\n".encode(), codecs.BOM_UTF8, codecs.BOM_UTF16_LE])
def test_an_empty_file(tmp_path: Path, data: bytes) -> None:
    documents, [failure] = read_bytes(tmp_path, data)
    assert not documents
    assert "is empty" in failure.reason


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(50),
        b"\x7fELF\x02\x01" + bytes(50),
        b"PK\x03\x04rest",
        bytes(range(256)) * 4,
        b"text\0with\0zeros and more text, odd",
        b"\x01\x02\x03\x04\x05\x06plain",
    ],
)
def test_binary_data_under_a_text_name(tmp_path: Path, data: bytes) -> None:
    documents, [failure] = read_bytes(tmp_path, data)
    assert not documents
    assert "looks like binary" in failure.reason


def test_bytes_of_no_encoding_are_refused() -> None:
    with pytest.raises(ReadError, match="binary"):
        decode(bytes(byte for n in range(300) for byte in ((n * 37) % 256, 0x81, 0xFF, (n * 91) % 256)))


def test_the_title_is_a_short_first_line_else_the_file_name(tmp_path: Path) -> None:
    [with_title], _ = read_bytes(tmp_path, "请假制度\n\n员工请假应当提前申请。".encode())
    assert (with_title.title, with_title.heading) == ("请假制度", "请假制度")
    assert with_title.blocks == ("请假制度", "员工请假应当提前申请。")
    [without], _ = read_bytes(tmp_path, "员工请假应当提前申请。".encode(), "请假.v2.txt")
    assert without.title == "请假.v2"


def test_lines_broken_at_a_fixed_width_are_joined() -> None:
    wrapped = (
        "The quick brown fox jumps over the lazy dog and runs away from the\n"
        "hunter, who is not amused by this at all and calls his four hun-\n"
        "gry dogs.\n"
        "\n"
        "- first point\n"
        "- second point\n"
    )
    first, *points = paragraphs(wrapped)
    assert first.endswith("away from the hunter, who is not amused by this at all and calls his four hungry dogs.")
    assert points == ["- first point", "- second point"]


def test_a_paragraph_a_line_is_not_joined() -> None:
    lines = "甲" * 200 + "\n" + "乙" * 190 + "。\n标题\n丙。"
    assert len(paragraphs(lines)) == 4


def test_joining_lines() -> None:
    assert join_lines("应当", "履行") == "应当履行"
    assert join_lines("the", "law") == "the law"
    assert join_lines("agree-", "ment") == "agreement"
    assert join_lines("Sino-", "American") == "Sino- American"
    assert join_lines("使用", "Python") == "使用Python"
