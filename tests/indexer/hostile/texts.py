"""Hostile text: plain, Markdown, tables, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.indexer.hostile.hostile_file import Hostile

_ARTICLES = "测试法\n第一条　甲方应当履行义务。\n第二条　乙方应当付款。\n第三条　本法自公布之日起施行。\n"


def _statute(line: str) -> bytes:
    return (_ARTICLES + line + "\n").encode()


def plain() -> Iterator[Hostile]:
    yield Hostile(name="numeral.txt", make=lambda: _statute("第" + "一" * 500_000 + "条 尾巴"), reads="尾巴")
    yield Hostile(name="digits.txt", make=lambda: _statute("第" + "9" * 500_000 + "条 尾巴"), reads="尾巴")
    yield Hostile(name="superscript.txt", make=lambda: _statute("第一百٣条 尾巴\n第²条 尾巴"), reads="尾巴")
    yield Hostile(name="below.txt", make=lambda: _statute("第三条之" + "二" * 500_000 + " 尾巴"), reads="尾巴")
    yield Hostile(name="word.txt", make=lambda: "的".encode() * 1_000_000, reads="的的")
    yield Hostile(name="latin_word.txt", make=lambda: b"a" * 5_000_000, reads="aaa")
    yield Hostile(name="quotes.txt", make=lambda: ("他说。" + "\"'" * 1_000_000 + "尾").encode(), reads="尾")
    yield Hostile(name="closers.txt", make=lambda: ("好。" + "”" * 3_000_000 + "尾").encode(), reads="尾")
    yield Hostile(name="full_stops.txt", make=lambda: ("." * 3_000_000 + "x").encode(), reads="x")
    yield Hostile(name="stops.txt", make=lambda: ("。" * 1_000_000 + "尾").encode(), reads="尾")
    yield Hostile(name="short_sentences.txt", make=lambda: ("好。" * 100_000).encode(), reads="好。")
    yield Hostile(name="letters.txt", make=lambda: ("a b " * 50_000).encode(), reads="a b")
    yield Hostile(name="spaces.txt", make=lambda: ("头" + " " * 5_000_000 + "尾").encode(), reads="尾")
    yield Hostile(name="lines.txt", make=lambda: ("头\n" + "\n" * 3_000_000 + "尾").encode(), reads="尾")
    yield Hostile(name="short_lines.txt", make=lambda: ("头尾\n" * 100_000).encode(), reads="头尾")
    yield Hostile(name="headings.txt", make=lambda: (_ARTICLES + "第一章 总则\n" * 200_000).encode(), reads="施行")
    yield Hostile(
        name="articles.txt", make=lambda: "".join(f"第{n}条 文\n" for n in range(1, 100_000)).encode(), reads="文"
    )
    yield Hostile(name="nul.txt", make=lambda: b"\0" * 5_000_000, failure="binary")
    yield Hostile(name="nul_in_text.txt", make=lambda: b"text\0" * 500_000, failure="binary")
    yield Hostile(name="noise.txt", make=lambda: bytes(range(128, 256)) * 200_000, failure="binary|encoding")
    yield Hostile(name="latin_1.txt", make=lambda: ("a plain élève " * 30_000).encode("cp1252"), reads="élève")
    yield Hostile(name="half_utf8.txt", make=lambda: b"plain text " * 30_000 + b"\xff\xfe\xfd", reads="plain")
    yield Hostile(name="combining.txt", make=lambda: ("e" + "\u0301" * 2_000_000).encode(), reads="e\u0301")


def markdown() -> Iterator[Hostile]:
    yield Hostile(name="quotes.md", make=lambda: b">" * 30_000 + b" deep", failure="nested")
    yield Hostile(
        name="nested_list.md",
        make=lambda: b"".join(b"  " * n + b"- item\n" for n in range(400)),
        reads="item",
        failure="nested",
    )
    yield Hostile(name="list_in_line.md", make=lambda: b"- " * 16_000 + b"deep", failure="nested")
    yield Hostile(name="numbers_in_line.md", make=lambda: b"1. " * 10_000 + b"deep", failure="nested")
    yield Hostile(name="mixed_in_line.md", make=lambda: b"> - " * 8_000 + b"deep", failure="nested")
    yield Hostile(name="brackets.md", make=lambda: b"[" * 40_000 + b"text", reads="text")
    yield Hostile(name="brackets_pairs.md", make=lambda: b"[a](" * 30_000 + b"text", reads="text")
    yield Hostile(name="link_titles.md", make=lambda: b"[a](<b" * 30_000 + b" text", reads="text")
    yield Hostile(name="images.md", make=lambda: b"![" * 20_000 + b"text", reads="text")
    yield Hostile(name="closed.md", make=lambda: b"[" * 20_000 + b"text" + b"]" * 20_000, reads="text")
    yield Hostile(name="stars.md", make=lambda: b"*a **a " * 20_000 + b"text", reads="text")
    yield Hostile(name="star_run.md", make=lambda: b"a**b" + b"c* " * 50_000, reads="c*")
    yield Hostile(name="underscores.md", make=lambda: b"_a __b " * 30_000, reads="a")
    yield Hostile(name="backticks.md", make=lambda: b"".join(b"e" + b"`" * n for n in range(3_000)), reads="e")
    yield Hostile(name="entities.md", make=lambda: b"&" * 200_000 + b"text", reads="text")
    yield Hostile(name="autolinks.md", make=lambda: b"<http:" * 50_000, reads="http")
    yield Hostile(name="html.md", make=lambda: b"a <!-- " * 50_000, reads="a")
    yield Hostile(name="html_block.md", make=lambda: b"<div>\n" + b"<!-- " * 100_000 + b"text", reads="text")
    yield Hostile(name="html_open.md", make=lambda: b"<div>\n" + b"<" * 200_000 + b"text", reads="text")
    yield Hostile(name="processing.md", make=lambda: b"a" + b"<?" * 100_000, reads="a")
    yield Hostile(name="declaration.md", make=lambda: b"a" + b"<!A " * 50_000, reads="a")
    yield Hostile(
        name="references.md", make=lambda: b"".join(b"[a%d]: /b\n" % n for n in range(50_000)) + b"text", reads="text"
    )
    yield Hostile(name="unfinished_reference.md", make=lambda: b"[a]: /b '\n" * 20_000 + b"text", reads="text")
    yield Hostile(
        name="table.md", make=lambda: b"|a" * 5_000 + b"|\n" + b"|-" * 5_000 + b"|\n" + b"|x\n" * 3_000, reads="x"
    )
    yield Hostile(name="paragraphs.md", make=lambda: b"text\n\n" * 50_000, reads="text")
    yield Hostile(name="soft_breaks.md", make=lambda: b"text\n" * 40_000, reads="text")
    yield Hostile(name="headings.md", make=lambda: b"# a\n" * 50_000 + b"text", reads="text")
    yield Hostile(name="front_matter.md", make=lambda: b"---\n" + b"a: b\n" * 60_000 + b"text", reads="text")
    yield Hostile(name="escapes.md", make=lambda: b"\\" * 500_000 + b"text", reads="text")
    yield Hostile(name="setext.md", make=lambda: b"text\n" + b"=\n\n" * 20_000, reads="=")
    yield Hostile(
        name="indents.md",
        make=lambda: b"- a\n" + b"\n".join(b" " * (n % 2_000) + b"b" for n in range(4_000)),
        reads="b",
    )
    yield Hostile(name="tabs.md", make=lambda: b"\t" * 1_000_000 + b"text", reads="text")


def tables() -> Iterator[Hostile]:
    yield Hostile(name="columns.csv", make=lambda: (b"a," * 1_000_000 + b"\n") * 2, reads="a", skipped="columns")
    yield Hostile(
        name="wide_names.csv",
        make=lambda: ",".join(f"甲{n}" for n in range(1_000_000)).encode() * 3,
        failure="characters",
    )
    yield Hostile(name="one_line.csv", make=lambda: b"abc" * 17_000_000, failure="characters")
    yield Hostile(name="one_line_of_cells.csv", make=lambda: b"abc," * 10_000_000, failure="characters")
    yield Hostile(name="open_quote.csv", make=lambda: b'a,b\n"' + b"1,2\n" * 5_000_000, failure="quotation mark")
    yield Hostile(name="quotes.csv", make=lambda: b'a,b\n"' + b'""' * 5_000_000, failure="characters")
    yield Hostile(name="blank.csv", make=lambda: b"a,b\n" + b"\n" * 1_000_000 + b"1,2\n", reads="1")
    yield Hostile(name="commas.csv", make=lambda: b"," * 20_000_000, failure="characters")
    yield Hostile(name="rows.csv", make=lambda: b"a,b\n" + b"1,2\n" * 200_000, reads="a: 1")
    yield Hostile(name="long_header.csv", make=lambda: b"n" * 40_000 + b",b\n1,2\n3,4\n", reads="2")
    yield Hostile(name="many_cells.csv", make=lambda: (b"a," * 16_000 + b"\n") * 8, reads="a")
    yield Hostile(name="late.csv", make=lambda: b"a,b\n1,2\n" * 150_000 + b"\xff\xff\xff\n", reads="a: 1")


def json_files() -> Iterator[Hostile]:
    yield Hostile(name="deep.json", make=lambda: b"[" * 1_000_000, failure="JSON")
    yield Hostile(name="deep_object.json", make=lambda: b'{"a":' * 500_000 + b"1" + b"}" * 500_000, failure="JSON")
    yield Hostile(
        name="deep.jsonl", make=lambda: b'{"text":"x"}\n{"text":' + b"[" * 500_000 + b"\n", reads="x", failure="Line 2"
    )
    yield Hostile(name="number.json", make=lambda: b'[{"text": "x", "n": ' + b"9" * 5_000 + b"}]", failure="JSON")
    yield Hostile(name="number_id.json", make=lambda: b'[{"text": "x", "id": ' + b"9" * 5_000 + b"}]", failure="JSON")
    yield Hostile(
        name="number.jsonl",
        make=lambda: b'{"text":"x"}\n{"text": "y", "n": ' + b"9" * 5_000 + b"}",
        reads="x",
        failure="Line 2",
    )
    yield Hostile(name="float.json", make=lambda: b'[{"text": "x", "n": 1e999999999}]', reads="x")
    yield Hostile(name="constant.jsonl", make=lambda: b'{"text": "x", "n": NaN, "m": -Infinity}', reads="x")
    yield Hostile(
        name="surrogate.jsonl", make=lambda: b'{"text": "x\\ud800", "\\ud800": "\\udfff", "id": "\\ud800"}', reads="x?"
    )
    yield Hostile(
        name="nul.jsonl", make=lambda: b'{"text": "x\\u0000y", "id": "a\\u0000", "\\u0000": "a\\u0000"}', reads="x"
    )
    yield Hostile(
        name="keys.jsonl",
        make=lambda: json.dumps({"text": "x"} | {f"k{n}": n for n in range(100_000)}).encode(),
        reads="x",
        skipped="fields",
    )
    yield Hostile(
        name="long_key.jsonl",
        make=lambda: json.dumps({"text": "x", "k" * 40_000: "y"}).encode(),
        reads="x",
        skipped="name",
    )
    yield Hostile(
        name="values.jsonl",
        make=lambda: json.dumps({"text": "x", "tags": [f"{n}" for n in range(500_000)]}).encode(),
        reads="x",
        skipped="values",
    )
    yield Hostile(
        name="long_value.jsonl", make=lambda: json.dumps({"text": "x", "note": "值" * 1_000_000}).encode(), reads="x"
    )
    yield Hostile(
        name="long_title.jsonl",
        make=lambda: json.dumps({"text": "x" * 10_000, "title": "题" * 1_000_000}).encode(),
        reads="x",
        skipped="title",
    )
    yield Hostile(name="lines_in_text.jsonl", make=lambda: json.dumps({"text": "x\n" * 100_000}).encode(), reads="x")
    yield Hostile(name="array_of_text.json", make=lambda: b'["' + b"x" * 10_000_000 + b'"]', failure="JSON object")
    yield Hostile(name="broken_lines.jsonl", make=lambda: b"{\n" * 1_000_000, failure="usable JSON record")
    yield Hostile(
        name="half_broken.jsonl", make=lambda: b'{"text":"x"}\n' + b"{\n" * 300_000, reads="x", failure="more lines"
    )
    yield Hostile(
        name="half_broken.json",
        make=lambda: b'[{"text":"x"}' + b",1" * 300_000 + b"]",
        reads="x",
        failure="more records",
    )


def all_texts() -> Iterator[Hostile]:
    yield from plain()
    yield from markdown()
    yield from tables()
    yield from json_files()
