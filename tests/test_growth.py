"""Each function on text takes time in proportion to its length: what would take minutes otherwise takes seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from bothways.core.datatypes import ChunkerName, Document
from bothways.core.errors import LLMError
from bothways.core.text.numerals import parse_number, parse_roman
from bothways.core.text.printable import printable
from bothways.core.text.valid import valid_text
from bothways.indexer.chunk import chunk, sentences
from bothways.indexer.doc2query.parse_questions import clean_questions, parse_questions
from bothways.indexer.read.html import html_sections
from bothways.indexer.read.markdown import markdown_sections
from bothways.indexer.read.pdf.lines import Line, add, is_page_number
from bothways.indexer.read.pdf.paragraphs import to_paragraphs
from bothways.indexer.read.statute import is_statute
from bothways.search.answering.writing.links import readable
from bothways.search.answering.writing.markers import Markers
from bothways.search.answering.writing.unknown import declines, may_say_unknown
from bothways.search.present.highlight import highlight
from bothways.search.query.rewrite import clean_pseudo_doc
from bothways.search.query.self_query.conditions import understand
from bothways.search.query.self_query.vocabulary import learn
from bothways.search.rank.window import best_window, terms

SECONDS = 15.0
"""Of CPU: many times what is needed on a busy machine, a small part of what a quadratic function takes."""

LAWS = learn(
    {
        "law": {"中华人民共和国民法典": 900, "中华人民共和国刑法": 500},
        "article": dict.fromkeys(["第十条", "第十一条", "第一百二十条之一", "第五百九十条"], 2),
    }
)
HANDBOOKS = learn(
    {
        "doc": {"Employee Handbook": 5, "Travel Policy": 6},
        "section": dict.fromkeys(["Section 12 Leave", "Section IV", "Section 13.1"], 1),
    }
)

CHUNKERS: tuple[ChunkerName, ...] = ("sentence", "section", "statute")
HAN = "".join(map(chr, range(0x4E00, 0x4E00 + 10_000)))


def chunked(text: str, chunker: ChunkerName) -> None:
    document = Document(doc_id="d", title="t", blocks=tuple(text.split("\n\n")), source="s")
    list(chunk([document], chunker))


def marked(text: str) -> None:
    markers = Markers(9)
    for at in range(0, len(text), 3):
        markers.feed(text[at : at + 3])
    markers.close()


def beside(text: str) -> None:
    lines: list[Line] = []
    for n in range(100_000):
        x = 50.0 + 10 * n
        add(lines, Line(x0=x, y0=50, x1=x + 10, y1=60, size=10, text=text))


def below(text: str) -> None:
    lines = [Line(x0=50, y0=12.0 * n, x1=550, y1=12.0 * n + 10, size=10, text=text) for n in range(100_000)]
    to_paragraphs(lines)


def understood(question: str) -> None:
    for vocabulary in (LAWS, HANDBOOKS):
        understand(question, vocabulary)


def cleaned(answer: str) -> None:
    with suppress(LLMError):  # of one that holds nothing
        clean_pseudo_doc(answer)


def window(text: str) -> None:
    spans = [(at, at + 1) for at in range(len(text))]
    best_window(text, spans, terms(text[:2_000]), room=512)


TEXT = (
    "好。" * 60_000,
    "." * 500_000 + "x",
    "a. " * 60_000,
    "他说。" + "\"'" * 200_000 + "尾",
    "好。" + "”" * 500_000 + "尾",
    "头" + " " * 500_000 + "尾",
    "，" * 100_000,
    "a, " * 70_000,
    "a" * 500_000,
    "第" + "一" * 500_000 + "条 尾",
    "第三条之" + "二" * 500_000,
    "\n" * 500_000,
    "（一）" * 100_000,
    "\n".join(["第三条　甲", *["（一）乙；"] * 50_000]),
    "\n".join(f"第{n}条 文" for n in range(1, 50_000)),
)
MARKS = (
    *("[" * 20_000, "![" * 10_000, "*a **a " * 10_000, "_a __b " * 10_000, "<http:" * 20_000, "a <!-- " * 20_000),
    *("`a``b" * 20_000, "&" * 100_000, "- a\n" * 20_000, "> a\n" * 20_000, "|a" * 5_000 + "\n", "text\n=\n" * 10_000),
)
PAGES = (
    *("<ul><li>x" * 3_000, "<ul>x" * 5_000, "<ul>" + "<li>x</li>" * 30_000, "<table><tr><td>x" * 3_000),
    *("<table>" + "<tr><td>x" * 20_000, "<p>" + "中 " * 100_000, "<p>x" + "<br>" * 50_000, "<b>" * 50_000 + "x"),
)
ANSWERS = (
    *('{"questions": ["' + '\\"' * 500_000, '["a' + '", "' * 300_000, '"' * 500_000, "{" * 300_000, "[" * 300_000),
    *("[" + '"a" ' * 200_000, '{"' + " " * 500_000, "<think>" * 100_000, "```" * 200_000, "1. " * 300_000),
    *("“" * 300_000 + "”" * 300_000, "**" * 300_000, "1) " * 650, "q: " * 650, "\n".join(["- 问"] * 100_000)),
    *("\n" * 500_000, " " * 500_000 + "x", "".join(f"问{n}怎么办\n" for n in range(50_000))),
)
QUESTIONS = (
    *("1" * 10_000, "第" * 10_000, "一" * 10_000, "第十条" * 3_300, "第1、" * 3_300, "1、" * 5_000, "1 " * 5_000),
    *("第 " * 5_000, "第" + " " * 9_990, "条" * 10_000, "第十条、" * 2_500, "民法典" * 3_300, "民法典第十条" * 1_600),
    *("第十条至" * 2_500, "1条之1" * 2_500, "1至" * 5_000, "section 1, " * 900, "section 1" + ".1" * 5_000),
    *("section i" + ", i" * 3_300, "section " * 1_250, "section 1 to " * 770, "§" * 10_000, "s " * 5_000),
    *(
        "民法典" + " " * 9_990,
        "民法典" + "(" * 9_990,
        "民法典" + ")" * 9_990,
        "民法典" + "第一款" * 3_300,
        "x, of " * 1_600,
    ),
    *("(一)款" * 2_500, "a.b" * 3_300, "“" * 10_000, "et al. " * 1_400, "not " * 2_500, HAN),
)
WRITTEN = (
    *("[" * 100_000, "[1" * 50_000, "[1," + " " * 100_000, "[1, 2" * 30_000, "1" * 100_000, "[" + "1" * 100_000),
    *("【" * 100_000, " " * 100_000 + "[1]", "[1](" * 30_000, "[a](b" * 30_000, "![" * 50_000, "http://" * 20_000),
    *("www." * 30_000, "<a " * 30_000, "<" * 100_000, "a@" * 50_000, "](" * 50_000, "a" * 200_000, "&#" * 50_000),
)
OF_TEXT: dict[str, Callable[[str], object]] = {
    "sentences": sentences,
    **{f"chunks by {chunker}": partial(chunked, chunker=chunker) for chunker in CHUNKERS},
    "statute": is_statute,
    "markdown": markdown_sections,
    "html": html_sections,
    "printable": printable,
    "valid_text": valid_text,
    "page number": is_page_number,
    "highlight": lambda text: highlight(text[:200_000], ["好", "a"], query="好一条"),
    "window": lambda text: window(text[:50_000]),
}
OF_ANSWER: dict[str, Callable[[str], object]] = {
    "parse_questions": lambda answer: parse_questions(answer, n=5, text="好。" * 1_000),
    "clean_questions": lambda answer: clean_questions([answer, *[answer[:1_900]] * 20], n=5, text="好。"),
    "pseudo-document": cleaned,
}
OF_QUESTION: dict[str, Callable[[str], object]] = {
    "understand": understood,
    "highlight": lambda question: highlight(HAN[:300] + question[:300], [question[:50]], query=question),
    "number": parse_number,
    "roman": parse_roman,
}
OF_WRITTEN: dict[str, Callable[[str], object]] = {
    "markers": marked,
    "links": readable,
    "declines": declines,
    "unknown": may_say_unknown,
}


def _rows() -> Iterator[Any]:
    """Give each function with what its place is fed with; one test a function, which names the input."""
    for functions, inputs in (
        (OF_TEXT, TEXT),
        ({name: OF_TEXT[name] for name in ("markdown",)}, MARKS),
        ({name: OF_TEXT[name] for name in ("html",)}, PAGES),
        (OF_ANSWER, ANSWERS),
        (OF_QUESTION, QUESTIONS),
        (OF_WRITTEN, WRITTEN),
        ({"pieces of a line": beside, "lines of a paragraph": below}, ("x", "、", "好。", "a-")),
        ({"numeral": parse_number}, ("一" * 4, "千" * 100_000)),
    ):
        for name, function in functions.items():
            for text in inputs:
                yield pytest.param(function, text, id=f"{name}-{text[:12]!a}-{len(text)}")


@pytest.mark.parametrize(("function", "text"), tuple(_rows()))
def test_time_grows_with_length(function: Callable[[str], object], text: str) -> None:
    started = time.process_time()
    function(text)
    assert time.process_time() - started < SECONDS
