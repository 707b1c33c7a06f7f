from __future__ import annotations

import html
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.search.present.highlight import bigrams, find, highlight, marked_terms


def test_marks_the_words_in_their_sentence():
    text = "合同成立。当事人一方违约的，应当承担违约责任。其他。"
    assert highlight(text, ["违约", "责任"]) == ("当事人一方<em>违约</em>的，应当承担<em>违约</em><em>责任</em>。",)


def test_escapes_the_text():
    assert highlight("<b>bold</b> refund", ["refund"]) == ("&lt;b&gt;bold&lt;/b&gt; <em>refund</em>",)


def test_nothing_to_mark():
    assert highlight("abc", []) == ()
    assert highlight("abc", ["x", "的"]) == ()


def test_words_are_text_and_not_patterns():
    assert highlight("a.b axb", ["a.b"]) == ("<em>a.b</em> axb",)


def test_case_and_width_do_not_count():
    """Full-width letters and ligatures fold into several characters: the marks stand around what was written."""
    assert highlight("Ｅ０７ 故障，见 ofﬁce。", ["e07", "office"]) == ("<em>Ｅ０７</em> 故障，见 <em>ofﬁce</em>。",)
    assert highlight("重 5㎏ 以上", ["5kg"]) == ("重 <em>5㎏</em> 以上",)


def test_words_of_letters_are_whole_words():
    assert highlight("art and a party, the ART", ["art"]) == ("<em>art</em> and a party, the <em>ART</em>",)
    assert highlight("显示E07，不是E071", ["e07"]) == ("显示<em>E07</em>，不是E071",)


def test_overlapping_words_are_one_mark():
    assert highlight("紧急救助人", ["紧急救助", "救助人", "救助"]) == ("<em>紧急救助人</em>",)
    assert highlight("哈哈哈", ["哈哈"]) == ("<em>哈哈哈</em>",)


def test_a_term_of_several_words_stands_side_by_side():
    text = "可以解除劳动合同。解除的劳动合同。"
    assert highlight(text, ["解除 劳动合同"]) == ("可以<em>解除劳动合同</em>。",)
    assert highlight("Machine-learning, machinelearning", ["machine learning"]) == (
        "<em>Machine-learning</em>, machinelearning",
    )


def test_the_best_sentences_come_first():
    text = "甲方违约。乙方违约的，承担违约责任！其他。丙方违约。丁方违约。"
    assert highlight(text, ["违约", "违约责任"], most=2) == (
        "乙方<em>违约</em>的，承担<em>违约责任</em>！",
        "甲方<em>违约</em>。",
    )


def test_english_sentences():
    assert highlight("Pay 3.50 at once. A refund takes days.", ["refund"]) == ("A <em>refund</em> takes days.",)


def test_pairs_of_characters_where_no_word_is_found():
    text = "无理由退货需完好。"
    assert highlight(text, ["可退货吗"], query="可退货吗") == ("无理由<em>退货</em>需完好。",)
    assert highlight(text, ["理由"], query="可退货吗理由") == ("无<em>理由</em>退货需完好。",)


def test_a_long_sentence_is_cut_to_the_best_part():
    text = "一" * 300 + "违约" + "二" * 300 + "违约责任和违约金" + "三" * 300
    (shown,) = highlight(text, ["违约", "违约责任", "违约金"])
    assert len(re.sub("</?em>", "", shown)) == 240
    assert "<em>违约责任</em>和<em>违约金</em>" in shown


@pytest.mark.parametrize(
    ("terms", "marked"),
    [
        ([("税", "税"), ("税款", "税")], ["税", "税款"]),
        ([("的", "的"), ("税", "税")], []),
        ([("税", "税"), ("怎么", "怎么")], ["怎么"]),
        ([("昏", "晕倒"), ("晕倒", "晕倒")], ["晕倒"]),
    ],
)
def test_single_characters_only_where_they_are_the_whole_question(terms, marked):
    assert marked_terms(terms) == marked


def test_bigrams_are_of_chinese_alone():
    assert bigrams("退货 E07，ＡＢ可退 退货") == ("退货", "可退")


LETTERS = st.text(st.sampled_from("违约责任的，。！?\n aAbＡﬁ㎏́<&>em/'\"1"), max_size=60)


@given(LETTERS, st.lists(LETTERS, max_size=5), LETTERS)
def test_without_its_marks_a_highlight_is_part_of_the_text(text, terms, query):
    for shown in highlight(text, terms, query=query):
        assert "<em>" in shown
        assert shown.count("<em>") == shown.count("</em>")
        assert "<em></em>" not in shown
        plain = html.unescape(re.sub("</?em>", "", shown))
        assert plain in text


@given(LETTERS, st.lists(LETTERS, max_size=5))
def test_places_are_in_order_and_apart(text, terms):
    spans = find(text, terms)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
