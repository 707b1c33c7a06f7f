"""HTML: a document a section, without what only serves the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from bothways.core.datatypes import Document, Failure
from bothways.indexer.read import read

PAGE = """<!doctype html><html><head><meta charset="{charset}"><title>员工手册</title><style>p {{}}</style></head>
<body><nav><a href="/">首页</a></nav><script>var x = 1;</script><!-- note -->
<p>开头的话，<b>重要</b>。</p>
<h1>员工手册</h1>
<div>散文<p>第一段
换行。</p>尾</div>
<h2>请假</h2>
<ul><li>病假<ul><li>三天</li></ul></li><li>事假</li></ul>
<table><tr><th>类</th><th>天</th></tr><tr><td>病假</td><td>3</td></tr></table>
<pre>code
  more</pre>
<h4>小标题</h4><p>Plain English<br>two lines</p>
<footer>版权</footer></body></html>"""


def read_bytes(folder: Path, data: bytes) -> tuple[list[Document], list[Failure]]:
    (folder / "a.html").write_bytes(data)
    failures: list[Failure] = []
    return list(read(folder / "a.html", max_file_mb=1, on_failure=failures.append)), failures


@pytest.mark.parametrize("charset", ["utf-8", "gb2312", "gb18030"])
def test_sections(tmp_path: Path, charset: str) -> None:
    documents, failures = read_bytes(tmp_path, PAGE.format(charset=charset).encode(charset))
    assert not failures
    start, first, second = documents
    assert [d.heading for d in documents] == ["员工手册", "员工手册", "员工手册 › 请假"]
    assert start.blocks == ("开头的话，重要。",)
    assert first.blocks == ("散文", "第一段换行。", "尾")
    assert second.blocks == (
        "- 病假\n  - 三天\n- 事假",
        "类 | 天\n病假 | 3",
        "code\n  more",
        "小标题",
        "Plain English\ntwo lines",
    )
    assert second.metadata == {"section": "请假"}


def test_a_charset_that_is_wrong_or_missing_is_found_by_the_bytes(tmp_path: Path) -> None:
    text = "<p>合同当事人应当履行义务。</p>"
    for head, encoding in (("", "gbk"), ('<meta charset="utf-8">', "gbk"), ('<meta charset="nonsense">', "utf-8")):
        [document], _ = read_bytes(tmp_path, (head + text).encode(encoding))
        assert document.text == "合同当事人应当履行义务。"


def test_xhtml_declares_itself_without_a_warning(tmp_path: Path) -> None:
    page = '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><body>文</body></html>'
    assert read_bytes(tmp_path, page.encode())[0][0].text == "文"


@pytest.mark.parametrize("page", ["<html><body><h1>甲</h1><h2>乙</h2></body></html>", "<html></html>"])
def test_a_page_without_text(tmp_path: Path, page: str) -> None:
    documents, [failure] = read_bytes(tmp_path, page.encode())
    assert not documents
    assert "is empty" in failure.reason


def test_a_very_deep_page(tmp_path: Path) -> None:
    documents, failures = read_bytes(tmp_path, b"<div>" * 5_000 + b"text" + b"</div>" * 5_000)
    assert len(documents) + len(failures) == 1
