from __future__ import annotations

import pytest

from bothways.search.answering.writing.unknown import declines, may_say_unknown, says_unknown, unknown_word


@pytest.mark.parametrize(
    ("question", "word"),
    [("年假几天", "未知"), ("VPN怎么连", "未知"), ("年假", "未知"), ("how many days", "unknown"), ("E07", "unknown")],
)
def test_the_word_is_in_the_language_of_the_question(question, word):
    assert unknown_word(question) == word


@pytest.mark.parametrize(
    "said",
    ["未知", "未知。", "“未知”", "**未知**", " 未知\n", "答案：未知", "未知 [1]", "未知[99]。",
     "Unknown.", "UNKNOWN",
     "Answer: unknown", "不知道。", "I don’t know.", "未知\n\n资料中没有提到。", "未知，资料没有写明。",
     "unknown: nothing is said"],
)  # fmt: skip
def test_it_is_recognised_however_it_is_said(said):
    assert says_unknown(said, cites=False)
    for end in range(len(said) + 1):
        assert may_say_unknown(said[:end]), said[:end]


@pytest.mark.parametrize(
    "said",
    ["年假五天[1]。", "未知来源的介质不得接入[1]。", "未知数为三", "Unknown devices are refused [1].", "unknowns",
     "不知道密码的，找服务台[1]。"],
)  # fmt: skip
def test_an_answer_is_no_unknown(said):
    assert not says_unknown(said, cites=True)
    assert not says_unknown(said, cites=False)
    assert not may_say_unknown(said)


def test_what_goes_on_after_the_word_with_a_citation_is_an_answer():
    assert not says_unknown("未知，但试用期为六个月[1]。", cites=True)
    assert says_unknown("未知[1]", cites=True)


@pytest.mark.parametrize(
    "said",
    ["资料中没有提到健身房。", "根据提供的文档，无法确定价格。", "文档未说明。", "因此答案是未知。",
     "The passages do not mention a gym.", "It cannot be determined.", "The context doesn't say."],
)  # fmt: skip
def test_declining_in_a_sentence(said):
    assert declines(said)


def test_a_long_answer_or_one_of_content_declines_nothing():
    assert not declines("员工每年有五天年假。")
    assert not declines("资料中没有提到。" + "年假五天。" * 50)
