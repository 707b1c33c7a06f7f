"""Markdown: a document a section, with its path of headings."""

from __future__ import annotations

from pathlib import Path

from bothways.core.datatypes import Document, Failure
from bothways.indexer.read import document_id, read

PAGE = """---
title: "手册"
author: 李
---
开头的话。

# 手册

## 安装

先装**依赖**，
再装[程序](http://x)。

- 一
  - 二
- 三

### Linux

```sh
make all   # 注释

run
```

| 名 | 值 |
|---|---|
| a | 1 |

#### 细节

> 引用的话。

## 空的一节

## 使用

1. first
2. second
"""


def read_file(folder: Path, text: str, name: str = "a.md") -> tuple[list[Document], list[Failure]]:
    (folder / name).write_text(text, encoding="utf-8")
    failures: list[Failure] = []
    return list(read(folder / name, max_file_mb=1, on_failure=failures.append)), failures


def test_sections(tmp_path: Path) -> None:
    documents, failures = read_file(tmp_path, PAGE)
    assert not failures
    assert [d.heading for d in documents] == ["手册", "手册 › 安装", "手册 › 安装 › Linux", "手册 › 使用"]
    assert {d.title for d in documents} == {"手册"}
    start, install, linux, use = documents
    assert start.blocks == ("开头的话。",)
    assert start.metadata == {"author": "李"}
    assert install.blocks == ("先装依赖，再装程序。", "- 一\n  - 二\n- 三")
    assert linux.blocks == ("make all   # 注释\n\nrun", "名 | 值\na | 1", "细节", "引用的话。")
    assert linux.metadata == {"author": "李", "section": "安装 › Linux"}
    assert use.blocks == ("1. first\n2. second",)
    assert [d.doc_id for d in documents] == [document_id("a.md", None, n) for n in (0, 2, 3, 5)]


def test_the_title_without_front_matter_is_the_first_h1_else_the_file_name(tmp_path: Path) -> None:
    assert read_file(tmp_path, "# 甲\n\n文。")[0][0].heading == "甲"
    [document], _ = read_file(tmp_path, "## 乙\n\n文。", "notes.md")
    assert (document.title, document.heading) == ("notes", "notes › 乙")


def test_only_headings(tmp_path: Path) -> None:
    documents, [failure] = read_file(tmp_path, "# 甲\n\n## 乙\n")
    assert not documents
    assert "no text below its headings" in failure.reason


def test_html_inside_is_stripped(tmp_path: Path) -> None:
    [document], _ = read_file(tmp_path, "<!-- note -->\n\n<div>块</div>\n\n行<br>内")
    assert document.blocks == ("块", "行内")
