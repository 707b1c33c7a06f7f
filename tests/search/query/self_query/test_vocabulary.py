from __future__ import annotations

import statistics
import time

import pytest

from bothways.search.query.self_query.conditions import understand
from bothways.search.query.self_query.vocabulary import Vocabulary, learn, learn_numbers, normalised, titles


@pytest.mark.parametrize(
    ("value", "called"),
    [
        ("中华人民共和国民法典", ["中华人民共和国民法典", "民法典"]),
        (
            "《中华人民共和国公司法》（2023修订）",
            ["《中华人民共和国公司法》(2023修订)", "中华人民共和国公司法", "公司法"],
        ),
        ("The Employee Handbook (v2)", ["the employee handbook (v2)", "the employee handbook", "employee handbook"]),
        ("关于适用《民法典》的解释", ["关于适用《民法典》的解释"]),
        ("Ｋ２", ["k2"]),
        ("法", []),
        ("zh", []),
        ("2024", []),
        ("true", []),
        ("中华人民共和国", []),
        ("长" * 81, []),
    ],
)
def test_what_a_value_may_be_called(value, called):
    assert titles(value) == called


@pytest.mark.parametrize(
    ("values", "cue", "key", "meant"),
    [
        (["第一条", "第一百二十条之一", "第一百二十条"], "条", (120, 1), "第一百二十条之一"),
        (["第一编 总则", "第二编 物权"], "编", (2,), "第二编 物权"),
        (["第一分编 通则", "第二分编 所有权"], "分编", (1,), "第一分编 通则"),
        (["第二章法人", "第三章非法人组织", "第四章权利", "第一章 总则"], "章", (3,), "第三章非法人组织"),
        (["Section 12", "Section 13: Leave"], "section", (13,), "Section 13: Leave"),
        (["12.3 Leave", "12.4", "13. Pay"], "rule", (12, 3), "12.3 Leave"),
        (["1", "2"], "rule", (2,), "2"),
        (["§ 12", "§ 13 Pay"], "section", (13,), "§ 13 Pay"),
        (["Article IV", "Article V. Bar"], "article", (4,), "Article IV"),
    ],
)
def test_numbered_values(values, cue, key, meant):
    (found,) = learn_numbers("rules", values)
    assert cue in found.cues
    assert found.values[key] == (meant,)


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["2020-05-01", "2020-06-01"],
        ["K2", "X3", "X5"],
        ["E1 干烧", "E3 断电"],
        ["civil", "mix"],
        ["第一条", "总则", "附则"],
    ],
)
def test_values_that_are_not_numbered(values):
    assert learn_numbers("x", values) == ()


def test_a_field_may_have_the_numbers_of_two_books():
    articles, sections = learn_numbers("part", ["第一条", "第二条", "第三条", "Section 1", "Section 4"])
    assert (articles.values[2,], sections.values[4,]) == (("第二条",), ("Section 4",))
    assert learn_numbers("part", ["第一条", "附则", "总则", "说明"]) == ()


def test_a_field_whose_values_stand_on_single_chunks_gives_no_names():
    assert learn({"title": {"年休假天数": 1, "病假手续": 1}}).names == {}
    assert learn({"area": {"人事": 3, "财务": 1}}).names == {"人事": (("area", "人事"),), "财务": (("area", "财务"),)}


def test_one_name_may_mean_several():
    names = learn({"law": {"公司法（2018）": 5, "中华人民共和国公司法": 5}, "area": {"公司法": 9}}).names
    assert names["公司法"] == (("law", "公司法（2018）"), ("law", "中华人民共和国公司法"), ("area", "公司法"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("违反劳动合同法的", ["劳动合同法"]),
        ("劳动法和劳动合同法", ["劳动法", "劳动合同法"]),
        ("Ｘ３ 与x35", ["x3"]),
        ("ax3 x3a", []),
        ("用x3型", ["x3"]),
        ("the staff rulebook", ["the staff rulebook"]),
        ("our staff rulebook", ["staff rulebook"]),
        ("staff rulebooks", []),
        ("", []),
        ("法", []),
    ],
)
def test_names_are_found_the_longest_first_and_as_whole_words(text, found):
    vocabulary = learn({"law": {"劳动法": 3, "劳动合同法": 3, "X3": 3, "The Staff Rulebook": 3}})
    text = normalised(text)
    assert [text[start:end] for start, end in vocabulary.names_in(text)] == found


def test_a_hundred_thousand_values_cost_less_than_a_millisecond():
    laws = {f"中华人民共和国第{i}号{'甲乙丙丁戊'[i % 5]}{i % 977}管理条例": 2 for i in range(98_000)}
    vocabulary = learn({"law": laws, "article": {f"第{i}条": 2 for i in range(1, 2001)}})
    assert len(vocabulary.names) == 2 * len(laws)
    question = "中华人民共和国境内，路上有人晕倒我不救会怎样？三个人一起，二十年以后呢，要赔多少钱？"
    times = []
    for _ in range(200):
        start = time.perf_counter()
        assert understand(question, vocabulary).self_query is None
        times.append(time.perf_counter() - start)
    assert statistics.median(times) < 0.001


def test_without_values_there_is_nothing():
    assert learn({}) == Vocabulary()
    assert learn({"law": {}}) == Vocabulary()
