"""Chunks: nothing lost, nothing doubled, no sentence cut that fits, and no tiny ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.core.datatypes import ChunkerName, Document
from bothways.indexer.chunk import atoms, chunk, pieces, sentences
from tests.fakes import HashEncoder


def document(*blocks: str) -> Document:
    return Document(doc_id="id", title="题", blocks=blocks, source="a.txt", heading="头", metadata={"k": "v"})


def squeeze(text: str) -> str:
    return "".join(text.split())


def sentence(length: int) -> str:
    return "法" * (length - 1) + "。"


def test_a_text_that_fits_is_one_chunk_with_all_that_the_document_says() -> None:
    [only] = chunk([document("甲。", "乙。")], max_chars=300)
    assert (only.chunk_id, only.position, only.text) == ("id-0", 0, "甲。\n乙。")
    assert (only.doc_id, only.title, only.heading, only.source, only.metadata) == (
        "id",
        "题",
        "头",
        "a.txt",
        {"k": "v"},
    )


def test_pieces_are_balanced() -> None:
    assert [len(piece) for piece in pieces(["".join([sentence(40)] * 8)], 300)] == [160, 160]
    assert [len(piece) for piece in pieces(["".join([sentence(50)] * 13)], 300)] in (
        [200, 200, 250],
        [200, 250, 200],
        [250, 200, 200],
    )


def test_blocks_are_kept_together() -> None:
    blocks = [sentence(70) * 2, sentence(80) * 2, sentence(30)]
    assert pieces(blocks, 300) == [blocks[0], f"{blocks[1]}\n{blocks[2]}"]


def test_a_line_that_announces_is_not_cut_from_what_it_announces() -> None:
    blocks = [sentence(140), "下列情形之一的：", sentence(100), sentence(100)]
    first, second = pieces(blocks, 300)
    assert first == blocks[0]
    assert second.startswith("下列情形之一的：\n")


def test_a_sentence_that_alone_is_too_long_is_cut_at_a_comma_else_a_space_else_anywhere() -> None:
    clauses = pieces(["法" * 90 + "，" + "律" * 90 + "，" + "典" * 90 + "。"], 200)
    assert [piece[-1] for piece in clauses] == ["，", "。"]
    words = pieces([" ".join(["word"] * 60)], 200)
    assert {len(piece) % 5 for piece in words} == {4}
    assert [len(piece) for piece in pieces(["法" * 310], 300)] == [155, 155]


def test_no_sentence_is_cut_that_fits() -> None:
    text = "".join(sentence(n) for n in (299, 20, 150, 151, 90, 280, 10, 5, 300))
    assert all(piece.endswith("。") for piece in pieces([text], 300))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("甲。乙！丙？丁；戊", ["甲。", "乙！", "丙？", "丁；", "戊"]),
        ("他说：“走吧。”我们走了。（完。）好", ["他说：“走吧。”", "我们走了。", "（完。）", "好"]),
        ("真的？！是的……嗯", ["真的？！", "是的……", "嗯"]),
        ('他说"好。"我走。"行。"', ['他说"好。"', "我走。", '"行。"']),
        ("Dr. Smith paid 3.5 dollars. He left.", ["Dr. Smith paid 3.5 dollars. ", "He left."]),
        ("See e.g. Art. 5 and J. Doe. Next?", ["See e.g. Art. 5 and J. Doe. ", "Next?"]),
        ("1. First point. Second", ["1. First point. ", "Second"]),
        ("http://a.b/c?d=e!f is a link", ["http://a.b/c?d=e!f is a link"]),
        ("什么?没有!", ["什么?", "没有!"]),
    ],
)
def test_sentences(line: str, expected: list[str]) -> None:
    assert sentences(line) == expected


def test_documents_are_taken_one_at_a_time() -> None:
    taken = 0

    def documents() -> Iterator[Document]:
        nonlocal taken
        for _ in range(3):
            taken += 1
            yield document("甲。")

    chunks = chunk(documents())
    next(chunks)
    assert taken == 1


def test_a_document_without_text_gives_no_chunk() -> None:
    assert list(chunk([document(), document(" ", "\n")])) == []


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="max_chars is 0"):
        list(chunk([document("甲")], max_chars=0))


@pytest.mark.parametrize("text", ["，", "好。", "a. ", "x\n", "x \n\n", "好。很好。 ok. ", "，。 word, other\n"])
@pytest.mark.parametrize("max_chars", [50, 300])
def test_tiny_sentences_are_cut_in_the_same_places_all_at_once(
    text: str, max_chars: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = [text * 700, "最后一句。"]
    monkeypatch.setattr(atoms, "_MANY", 0)
    at_once = pieces(blocks, max_chars)
    monkeypatch.setattr(atoms, "_MANY", 10_000)
    assert pieces(blocks, max_chars) == at_once


def test_a_section_is_cut_between_blocks_even_where_sentences_would_be_of_more_equal_length() -> None:
    blocks = [sentence(30) * 3, sentence(30) * 9, sentence(30) * 2]
    assert [piece.text for piece in chunk([document(*blocks)], "section", max_chars=300)] == blocks
    assert [len(piece) for piece in pieces(blocks, 300)] == [211, 211]


def test_a_block_that_is_too_long_for_a_section_chunk_is_cut_at_its_lines_and_then_at_sentences() -> None:
    lines = [sentence(100), sentence(38) * 5, sentence(40) * 6]
    texts = [piece.text for piece in chunk([document("\n".join(lines))], "section", max_chars=200)]
    assert texts == [lines[0], lines[1], sentence(40) * 3, sentence(40) * 3]


def test_sections_are_not_merged() -> None:
    chunks = list(chunk([document("甲。"), document("乙。")], "section", max_chars=300))
    assert [piece.text for piece in chunks] == ["甲。", "乙。"]


PARTS = st.sampled_from(
    [
        "法律",
        "应当，",
        "规定。",
        "”",
        "“",
        "（一）",
        "；",
        "：",
        "word ",
        "e.g. ",
        "End. ",
        "3.14",
        '"',
        "\n",
        "  ",
        "\t",
        "…",
        "！",
        "x" * 70,
        "\n第三条　",
        "\n第四条　",
        "\n（二）",
    ]
)
BLOCKS = st.lists(st.lists(PARTS, max_size=60).map("".join) | st.text(max_size=80), max_size=8)


@pytest.mark.parametrize("name", get_args(ChunkerName))
@given(blocks=BLOCKS, max_chars=st.integers(1, 400))
def test_nothing_is_lost_or_doubled(name: ChunkerName, blocks: list[str], max_chars: int) -> None:
    chunks = list(chunk([document(*blocks)], name, max_chars=max_chars, encoder=HashEncoder))
    assert [piece.chunk_id for piece in chunks] == [f"id-{position}" for position in range(len(chunks))]
    texts = [piece.text for piece in chunks]
    assert squeeze("".join(texts)) == squeeze("".join(blocks))
    assert all(0 < len(text) <= max_chars for text in texts)
    assert all(text == text.strip() for text in texts)


@given(lengths=st.lists(st.integers(20, 120), min_size=8, max_size=60))
def test_common_sentences_never_leave_a_tiny_piece(lengths: list[int]) -> None:
    texts = pieces(["".join(map(sentence, lengths))], 300)
    assert all(text.endswith("。") for text in texts)
    assert min(map(len, texts)) >= 60
