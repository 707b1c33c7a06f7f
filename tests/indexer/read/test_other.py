"""What markitdown reads for us, and what nobody reads."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from tests.indexer.reading import Reading

NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "metadata": {}, "source": ["# 库存分析\n", "\n", "先读数据。"]},
        {"cell_type": "code", "metadata": {}, "source": ["total = 1"], "outputs": [], "execution_count": None},
        {"cell_type": "markdown", "metadata": {}, "source": ["## 结论\n", "\n", "够用。"]},
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}
FEED = (
    '<?xml version="1.0"?><rss version="2.0"><channel><title>公告</title><description>内部</description>'
    "<item><title>停电</title><description>周六停电。</description></item></channel></rss>"
)


def test_a_notebook(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text(json.dumps(NOTEBOOK), encoding="utf-8")
    reading = Reading(tmp_path / "a.ipynb")
    assert reading.headings == ["库存分析", "库存分析 › 结论"]
    assert reading.blocks == [("先读数据。", "total = 1"), ("够用。",)]


def test_a_feed(tmp_path: Path) -> None:
    (tmp_path / "a.rss").write_text(FEED, encoding="utf-8")
    reading = Reading(tmp_path / "a.rss")
    assert reading.documents[-1].heading == "公告 › 停电"
    assert reading.documents[-1].text == "周六停电。"


def test_old_excel_which_keeps_its_warnings_off_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def record(kind: int, data: bytes) -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    cells = [(0, 0, b"name"), (0, 1, b"phone"), (1, 0, b"Li"), (1, 1, b"123")]
    labels = [struct.pack("<HH3xB", row, column, len(text)) + text for row, column, text in cells]
    biff2 = record(0x09, struct.pack("<HH", 2, 0x10)) + b"".join(record(0x04, x) for x in labels) + record(0x0A, b"")
    (tmp_path / "a.xls").write_bytes(biff2)
    [document] = Reading(tmp_path / "a.xls").documents
    assert document.text == "name | phone\nLi | 123"
    assert document.heading == "a › Sheet 1"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["a.xls", "a.msg", "a.ipynb", "a.rss"])
def test_what_is_not_what_its_name_says(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"{} and nothing else")
    assert Reading(tmp_path / name).failure.startswith("The file ")


def test_without_the_extra_the_file_is_skipped_with_the_install_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bothways.indexer.read.other.find_spec", lambda _: None)
    (tmp_path / "a.xls").write_bytes(b"any")
    reading = Reading(tmp_path / "a.xls")
    assert reading.skipped == ['Files of type .xls need an extra: pip install "bothways[markitdown]".']
    assert not reading.failures


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.doc", "Files of type .doc are not read; save them as .docx."),
        ("a.ODS", "Files of type .ODS are not read; save them as .xlsx."),
        ("a.zip", "Files of type .zip are not read."),
        ("a", "Files without an extension are not read."),
    ],
)
def test_types_that_are_not_read(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / name).write_bytes(b"any")
    assert Reading(tmp_path / name).skipped == [reason]
