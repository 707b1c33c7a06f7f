from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.search.query.self_query.conditions import NOTHING, understand
from bothways.search.query.self_query.vocabulary import learn

CIVIL, CRIMINAL = "中华人民共和国民法典", "中华人民共和国刑法"
ARTICLES = [
    "第十条",
    "第十一条",
    "第十二条",
    "第六十三条",
    "第一百二十条",
    "第一百二十条之一",
    "第五百九十条",
    "第五百九十一条",
]
LAW = learn(
    {
        "law": {CIVIL: 900, CRIMINAL: 500, "中华人民共和国合同法": 100},
        "book": {"第一编 总则": 300, "第三编 合同": 500},
        "article": dict.fromkeys(ARTICLES, 2),
    }
)
BOOKS = learn(
    {
        "doc": {"Employee Handbook": 5, "Travel Policy": 6},
        "section": dict.fromkeys(["Section 12 Leave", "Section 13"], 1),
    }
)


def reading(question, vocabulary=LAW):
    """The mode, and each citation's or name's values in the order of the question."""
    understood = understand(question, vocabulary)
    if understood.self_query is None:
        assert understood is NOTHING
        return None
    recognised = [several for each in understood.self_query.recognised for several in each.values.values()]
    return understood.self_query.mode, [value for several in recognised for value in several]


@pytest.mark.parametrize(
    "question",
    [
        "民法典第五百九十条",
        "民法典第590条",
        "民法典５９０条",
        "民法典 590 条",
        "民法典五百九十条",
        "民法典五九〇条",
        "《民法典》第五百九十条",
        "《中华人民共和国民法典》（2020）第五百九十条第一款第（二）项",
        "民法典第五百九十条规定了什么？",
        "请问民法典的第五百九十条是什么内容",
        "根据民法典第五百九十条",
        "民法典第五百九十條",
    ],
)
def test_a_question_that_is_nothing_but_a_citation_is_filtered(question):
    understood = understand(question, LAW)
    assert reading(question) == ("filter", [CIVIL, "第五百九十条"])
    both = [{"terms": {"metadata.law": [CIVIL]}}, {"terms": {"metadata.article": ["第五百九十条"]}}]
    assert understood.filters == [{"bool": {"filter": both}}]
    assert not understood.boosts
    assert not understood.wants_all


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("刑法63条", ("filter", [CRIMINAL, "第六十三条"])),
        ("刑法第一百二十条之一", ("filter", [CRIMINAL, "第一百二十条之一"])),
        ("刑法第一百二十条", ("filter", [CRIMINAL, "第一百二十条"])),
        ("民法典第590、591条", ("filter", [CIVIL, "第五百九十条", "第五百九十一条"])),
        ("民法典第590条和第591条", ("filter", [CIVIL, "第五百九十条", "第五百九十一条"])),
        ("民法典第10条至第12条", ("filter", [CIVIL, "第十条", "第十一条", "第十二条"])),
        ("民法典第三编第五百九十条", ("filter", [CIVIL, "第三编 合同", "第五百九十条"])),
        ("第590条", ("filter", ["第五百九十条"])),
        ("590条", ("filter", ["第五百九十条"])),
        ("民法典第9999条", ("filter", [CIVIL])),
        ("刑法 第六十三条 减轻处罚", ("first", [CRIMINAL, "第六十三条"])),
        ("违反刑法第六十三条会怎样判", ("first", [CRIMINAL, "第六十三条"])),
        ("刑法第六十三条与民法典的赔偿", ("first", [CRIMINAL, "第六十三条", CIVIL])),
        ("民法典第五百九十条 免除责任", ("first", [CIVIL, "第五百九十条"])),
        ("刑法怎么处罚盗窃", ("boost", [CRIMINAL])),
        ("第十条规定的赔偿标准有哪些", ("boost", ["第十条"])),
        ("劳动合同法第十条", ("boost", ["中华人民共和国合同法", "第十条"])),
    ],
)
def test_what_is_less_filters_less(question, expected):
    assert reading(question) == expected


@pytest.mark.parametrize(
    "question",
    [
        "路上有人晕倒我不救会怎样？",
        "一共有十条理由要赔",
        "第九千条讲赔偿的什么标准",
        "除民法典第五百九十条外还有哪些规定",
        "除了刑法还有什么",
        "十",
        "第条",
        "",
    ],
)
def test_what_names_nothing_is_left_alone(question):
    assert reading(question) is None


def test_two_citations_are_alternatives():
    understood = understand("民法典第五百九十条和刑法第六十三条", LAW)
    one, other = understood.filters[0]["bool"]["should"]
    assert one["bool"]["filter"][0] == {"terms": {"metadata.law": [CIVIL]}}
    assert other["bool"]["filter"][1] == {"terms": {"metadata.article": ["第六十三条"]}}


def test_a_name_beside_a_citation_is_a_boost():
    understood = understand("刑法第六十三条与民法典的赔偿", LAW)
    assert understood.boosts == [{"terms": {"metadata.law": [CIVIL]}}]
    assert understood.wants_all
    assert understood.unfiltered.filters == ()


def test_relaxing_says_so():
    understood = understand("民法典第9999条", LAW).relaxed()
    assert (understood.filters, understood.self_query.relaxed, understood.wants_all) == ((), True, True)
    assert understood.self_query.recognised[1].values == {"article": ()}


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("section 12 of the Employee Handbook", ("filter", ["Employee Handbook", "Section 12 Leave"])),
        ("What does the employee handbook, section 13 say?", ("filter", ["Employee Handbook", "Section 13"])),
        ("employee handbook sections 12 and 13", ("filter", ["Employee Handbook", "Section 12 Leave", "Section 13"])),
        ("Employee Handbook § 12", ("filter", ["Employee Handbook", "Section 12 Leave"])),
        ("Sec. 13", ("filter", ["Section 13"])),
        ("can section 12 of the employee handbook wait", ("first", ["Employee Handbook", "Section 12 Leave"])),
        ("section 99 of the travel policy", ("filter", ["Travel Policy"])),
        ("does section 13 cover taxis", ("boost", ["Section 13"])),
        ("intersection 13", None),
        ("anything except section 12 of the employee handbook", None),
    ],
)  # fmt: skip
def test_english(question, expected):
    assert reading(question, BOOKS) == expected


def test_a_year_beside_a_cue_of_another_field():
    vocabulary = learn({"year": {"2023": 4, "2024": 5}, "article": {"第三条": 1, "第四条": 1}})
    assert reading("2024年", vocabulary) == ("filter", ["2024"])
    assert reading("第三条", vocabulary) == ("filter", ["第三条"])
    assert reading("三年以后怎么办", vocabulary) is None


@given(st.text(alphabet="第条五百九十1２、，和至之民法典刑编() section12§of", max_size=60))
def test_no_question_breaks_it(question):
    understand(question, LAW)
    understand(question, BOOKS)


@pytest.mark.parametrize("part", ["一、", "第", "十", "1", "除", "section ", "1 to ", "§1,", "第1条", "民法典", "("])
def test_a_hostile_question_is_no_work(part):
    question = part * 5000
    start = time.perf_counter()
    understand(question, LAW)
    understand(question, BOOKS)
    assert time.perf_counter() - start < 0.25
