import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.parse_questions import clean_questions, parse_questions, split_answer

TEXT = "因自愿实施紧急救助行为造成受助人损害的，救助人不承担民事责任。"
TWO = ["救人反被告怎么办", "紧急救助 免责"]
DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.mark.parametrize(
    "answer",
    [
        '{"questions": ["救人反被告怎么办", "紧急救助 免责"]}',
        '["救人反被告怎么办", "紧急救助 免责"]',
        '{"result": ["救人反被告怎么办", "紧急救助 免责"]}',
        '{"questions": [{"question": "救人反被告怎么办"}, {"q": "紧急救助 免责"}, 7, null]}',
        '{"questions": "救人反被告怎么办\\n紧急救助 免责"}',
        '```json\n{"questions": ["救人反被告怎么办", "紧急救助 免责"]}\n```',
        '以下是问题：\n```\n["救人反被告怎么办", "紧急救助 免责"]\n```\n希望有用！',
        '好的，结果如下：{"questions": ["救人反被告怎么办", "紧急救助 免责"]} 以上。',
        '<think>["别的"]</think>\n{"questions": ["救人反被告怎么办", "紧急救助 免责"]}',
        '{"questions": ["救人反被告怎么办", "紧急救助 免责", "被截',
        '["救人反被告怎么办",\n "紧急救助 免责",]',
        "救人反被告怎么办\n紧急救助 免责",
        "1. 救人反被告怎么办\n2. 紧急救助 免责",
        "1、救人反被告怎么办\n\n2、紧急救助 免责\n",
        "（1）救人反被告怎么办\r\n（二）紧急救助 免责",
        "①救人反被告怎么办\n② 紧急救助 免责",
        "- 救人反被告怎么办\n* 紧急救助 免责",
        "Q1: 救人反被告怎么办\nQ2：紧急救助 免责",
        "问题一：救人反被告怎么办\n问题2：紧急救助 免责",
        "1. “救人反被告怎么办”\n2. 「紧急救助 免责」",
        '"救人反被告怎么办",\n"紧急救助 免责"',
        "1. **救人反被告怎么办**\n2. **紧急救助 免责**",
        "以下是两个问题：\n救人反被告怎么办\n救人反被告怎么办？\n紧急救助 免责",
        "Here are 2 questions.\n救人反被告怎么办\n紧急救助  免责",
        "救人\u200b反被告\u0000怎么办\n紧急救助\t免责\n---\n……",
    ],
)
def test_every_form_of_answer_gives_the_same_questions(answer):
    assert parse_questions(answer, n=5, text=TEXT) == TWO


@pytest.mark.parametrize(
    "question",
    [
        "1.5倍工资怎么算",
        "3、4岁的小孩打人谁负责",
        "17岁打工自己养活自己算大人吗",
        "2019年借的钱按老规定吗",
        "一、二审程序的区别",
        "“入户盗窃”和“携带凶器盗窃”怎么认定？",
        "“甲”和“乙”",
        "《民法典》的立法宗旨是什么？",
        "以下是否属于紧急救助",
        "问题少年怎么办",
        "4S店",
        "QQ号算我的财产吗",
        "民事责任",
        "造成 受助人损害 民事责任",
    ],
)
def test_questions_that_only_look_numbered_quoted_or_copied_stay(question):
    assert parse_questions(question, n=5, text=TEXT) == [question]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        " \n",
        "{}",
        "[]",
        '{"questions": []}',
        "问",
        "？？？",
        "以下是：",
        "x" * 201,
        "[" * 20000,
        "9" * 6000,
        TEXT,
        "救助人不承担民事责任。",
        "救助人不承担民事责任？",
        "Sure!",
    ],
)
def test_what_is_no_question_is_dropped(answer):
    assert parse_questions(answer, n=5, text=TEXT) == []


def test_a_copied_english_sentence_is_dropped_whatever_its_case_and_width():
    text = "The rescuer bears no\ncivil liability."
    assert parse_questions("the Rescuer bears no civil LIABILITY?\nwho pays?", n=5, text=text) == ["who pays?"]


def test_no_more_than_n():
    assert parse_questions("甲一\n乙二\n丙三", n=2, text="") == ["甲一", "乙二"]


def test_duplicates_do_not_use_up_n():
    assert clean_questions(["怎么办", "怎么办？", "怎 么 办", "ＡＢ", "ab", "好吗"], n=3, text="") == [
        "怎么办",
        "ＡＢ",
        "好吗",
    ]


@pytest.mark.parametrize(("folder", "records"), [("law", 1908), ("stard_core", 3040)])
def test_all_recorded_questions_survive_unchanged(folder, records):
    path = DATA / folder / "pseudo_questions.jsonl"
    if not path.exists():
        pytest.skip("the recorded questions are not here")
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert len(rows) == records
    for row in rows:
        numbered = "\n".join(f"{i}. {question}" for i, question in enumerate(row["questions"], 1))
        assert parse_questions(numbered, n=5, text=row["text"]) == row["questions"]
        assert clean_questions(row["questions"], n=5, text=row["text"]) == row["questions"]


fragments = st.sampled_from(
    [
        "1. ",
        "（一）",
        "①",
        "- ",
        "Q1: ",
        '"',
        "“",
        "”",
        "**",
        "`",
        "```",
        "```json\n",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "\n",
        "questions",
        "怎么办",
        "以下是",
        "？",
        " ",
        "\\",
        "\x00",
        chr(0xD800),
        "abc",
        "<think>",
        "</think>",
        '"questions": [',
    ]
)
answers = st.one_of(
    st.text(),
    st.lists(fragments, max_size=25).map("".join),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    ).map(json.dumps),
)


@given(answers, st.integers(0, 6), st.text())
def test_any_answer_gives_at_most_n_clean_questions(answer, n, text):
    questions = parse_questions(answer, n=n, text=text)
    assert len(questions) <= n
    assert len(set(questions)) == len(questions)
    for question in questions:
        assert 2 <= len(question) <= 200
        assert "\n" not in question
        question.encode()


@given(answers, st.text())
def test_cleaning_what_is_clean_changes_nothing(answer, text):
    once = clean_questions(split_answer(answer), n=9, text=text)
    assert clean_questions(once, n=9, text=text) == once
