from __future__ import annotations

import re

import pytest

from bothways.core.text.passage import passage
from bothways.search.rank.window import best_window, fitting_passage, terms


class Reader:
    """Reads so many tokens of a pair; a token is a Chinese character or a run of other letters."""

    def __init__(self, pair_tokens):
        self.pair_tokens = pair_tokens
        self.asked = []

    def spans(self, text):
        self.asked.append(text)
        return [match.span() for match in re.finditer(r"[a-zA-Z]+|[^\sa-zA-Z]", text)]


def test_terms_are_pairs_of_characters_and_words():
    assert terms("违约金 Act 2020，税") == {"违约", "约金", "act", "2020", "税"}


def test_what_fits_is_left_alone_without_counting_tokens():
    reader = Reader(20)
    assert fitting_passage("违约", "合同法", "第一条。第二条。", reader) == "合同法\n第一条。第二条。"
    assert reader.asked == []


def test_what_fits_in_tokens_though_not_in_characters_is_left_alone():
    text = "contract law applies to everything here"
    assert fitting_passage("law", "", text, Reader(10)) == text


def test_the_window_holds_the_questions_words_and_the_title_stays():
    text = "甲" * 30 + "。" + "违约金过高可以请求减少。" + "乙" * 30 + "。"
    # room: 24 - 4 of the question - 3 of the title = 17 tokens
    found = fitting_passage("违约金高", "合同法", text, Reader(24))
    title, _, read = found.partition("\n")
    assert title == "合同法"
    assert read.startswith("违约金过高可以请求减少。")
    assert len(read) == 17


def test_the_head_is_read_where_nothing_is_shared():
    text = "".join(f"第{n}句话。" for n in "一二三四五六七八九十")
    assert fitting_passage("无关", "", text, Reader(12)) == text[:10]


def test_the_end_can_be_the_best_window():
    text = "甲" * 40 + "。违约金"
    assert fitting_passage("违约金", "", text, Reader(13)).endswith("甲。违约金")


def test_more_different_terms_win_over_more_repetitions():
    text = "违约违约违约违约违约。" + "丙" * 15 + "。" + "违约可以解除合同。"
    start, end = best_window(text, Reader(0).spans(text), terms("违约解除合同"), room=9)
    assert text[start:end] == "违约可以解除合同。"


def test_one_endless_sentence_is_looked_through_in_steps():
    text = "甲" * 100 + "违约金" + "甲" * 100
    start, end = best_window(text, Reader(0).spans(text), terms("违约金"), room=20)
    assert "违约金" in text[start:end]
    assert end - start == 20


def test_a_long_question_leaves_room_for_the_passage():
    found = fitting_passage("问" * 500, "题" * 100, "违约金。" * 50, Reader(40))
    title, _, read = found.partition("\n")
    assert (len(title), len(read)) == (5, 15)  # 40 tokens: half for the question, a quarter of the rest for the title


@pytest.mark.parametrize("text", ["", "   ", "。。。。。。。。。。", "😀" * 30])
def test_strange_texts(text):
    assert len(fitting_passage("问题", "", text, Reader(8))) <= max(8, len(text.strip()), 3)


def test_a_passage_is_the_title_and_the_text():
    assert (passage("民法典", "第一条"), passage("", "第一条")) == ("民法典\n第一条", "第一条")
