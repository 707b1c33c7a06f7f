"""Statutes: no chunk of two articles, 款 before 项 before sentences, and the heading says which."""

from __future__ import annotations

from bothways.core.datatypes import Chunk, Document
from bothways.indexer.chunk import chunk


def line(start: str, length: int, end: str = "。") -> str:
    return start + "法" * (length - len(start) - 1) + end


def cut(*lines: str, max_chars: int = 100, title: str = "样本法 第二条", article: str = "第二条") -> list[Chunk]:
    metadata = {"law": "样本法", **({"article": article} if article else {})}
    document = Document(
        doc_id="id",
        title=title,
        blocks=lines,
        source="a.txt",
        heading=f"《样本法》 {article}".strip(),
        metadata=metadata,
    )
    return list(chunk([document], "statute", max_chars=max_chars))


def test_an_article_that_fits_is_one_chunk_as_before() -> None:
    [only] = cut("甲。", "乙。")
    assert (only.text, only.heading, only.chunk_id) == ("甲。\n乙。", "《样本法》 第二条", "id-0")


def test_a_long_article_is_cut_between_its_paragraphs_although_sentences_would_be_of_more_equal_length() -> None:
    first, second, third = line("甲", 90), line("乙", 20), "丙。" + line("", 70)
    chunks = cut(first, second, third)
    assert [c.text for c in chunks] == [first, f"{second}\n{third}"]
    assert [c.heading for c in chunks] == ["《样本法》 第二条 第一款", "《样本法》 第二条 第二款至第三款"]


def test_a_long_paragraph_is_cut_between_its_items() -> None:
    lead = "下列情形之一的："
    items = [line(f"（{n}）", 40, "；") for n in "一二三"] + [line("（四）", 40)]
    chunks = cut(line("甲", 50), lead, *items)
    assert [c.text for c in chunks] == [
        line("甲", 50),
        "\n".join([lead, items[0], items[1]]),
        "\n".join(items[2:]),
    ]
    assert [c.heading.split()[-1] for c in chunks] == ["第一款", "第二款第一项至第二项", "第二款第三项至第四项"]


def test_items_of_the_only_paragraph_are_cited_without_it() -> None:
    items = [line(f"（{n}）", 60, "；") for n in "一二"]
    assert [c.heading.split()[-1] for c in cut("有下列情形：", *items)] == ["第一项", "第二项"]


def test_an_item_that_is_too_long_is_cut_at_its_sentences() -> None:
    sentence = line("", 60)
    chunks = cut("有下列情形：", "（一）" + sentence * 3, "（二）短。")
    assert [c.heading.split()[-1] for c in chunks] == ["第一项", "第一项", "第一项至第二项"]
    assert chunks[1].text == sentence


def test_one_long_paragraph_has_no_part_to_name() -> None:
    assert {c.heading for c in cut(line("", 60) * 3)} == {"《样本法》 第二条"}


def test_articles_on_a_page_are_parted_and_named() -> None:
    """A page of a PDF: the end of an article, two articles, and the heading of a chapter between them."""
    page = ["上一条的末尾。", "第三条　甲。", "（一）乙。", "第二章　权　利", "第四条　丙。"]
    chunks = cut(*page, title="样本法.pdf", article="")
    assert [c.text for c in chunks] == ["上一条的末尾。", "第三条　甲。\n（一）乙。", "第二章　权　利\n第四条　丙。"]
    assert [c.heading for c in chunks] == ["《样本法》", "《样本法》 第三条", "《样本法》 第四条"]
    assert [c.metadata.get("article") for c in chunks] == [None, "第三条", "第四条"]
    assert [c.position for c in chunks] == [0, 1, 2]


def test_a_record_whose_title_ends_with_an_article_is_one() -> None:
    chunks = cut(line("甲", 90), line("乙", 90), title="样本法第二条之一", article="")
    assert [c.heading for c in chunks] == ["《样本法》 第一款", "《样本法》 第二款"]


def test_what_is_no_statute_is_cut_at_its_paragraphs_and_has_no_paragraph_named() -> None:
    chunks = cut(line("甲", 90), line("乙", 90), title="手册", article="")
    assert [c.heading for c in chunks] == ["《样本法》", "《样本法》"]


def test_a_broken_line_starts_no_paragraph() -> None:
    chunks = cut(line("依照", 80, "第"), line("三百条", 90), line("乙", 90))
    assert [c.heading.split()[-1] for c in chunks] == ["第一款", "第一款", "第二款"]
