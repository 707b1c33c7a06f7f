import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.indexer.doc2query.parse_questions import clean_questions, parse_questions, split_answer

TEXT = "因自愿实施紧急救助行为造成受助人损害的，救助人不承担民事责任。"
TWO = ["救人反被告怎么办", "紧急救助 免责"]
DATA = Path(__file__).parents[3].parent / "shared" / "data"


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


@pytest.mark.parametrize(("folder", "records", "near_copies"), [("law", 1908, 5), ("stard_core", 3040, 3)])
def test_recorded_questions_survive_unchanged_but_for_a_few_near_copies(folder, records, near_copies):
    path = DATA / folder / "pseudo_questions.jsonl"
    if not path.exists():
        pytest.skip("the recorded questions are not here")
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert len(rows) == records
    dropped = 0
    for row in rows:
        numbered = "\n".join(f"{i}. {question}" for i, question in enumerate(row["questions"], 1))
        kept = parse_questions(numbered, n=5, text=row["text"])
        assert kept == clean_questions(row["questions"], n=5, text=row["text"])
        assert kept == [question for question in row["questions"] if question in kept]
        dropped += len(row["questions"]) - len(kept)
    assert dropped == near_copies


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (["合伙协议 应当载明 事项", "合伙协议应当载明哪些事项？"], 1),  # 90.9
        (["继承权 男女平等", "继承权是否男女平等？"], 2),  # 87.5: a keyword query and the question it is made of
        (["16岁的人打工养活自己，算不算成年人", "18岁的人打工养活自己，算不算成年人"], 2),  # other numbers
        (["十六周岁的人能不能自己签合同呢", "十八周岁的人能不能自己签合同呢"], 2),
        (["救人反被告了到底该怎么办才好", "救人反被告了到底应该怎么办才好"], 1),  # 2 · 14 of 14 + 15: 96.6
        (["救人反被告了到底应该怎么办才好", "救人反被告了究竟应该怎么办才好"], 2),  # 2 · 13 of 15 + 15: 86.7
    ],
)
def test_what_was_nearly_said_before_is_dropped(said, kept):
    assert clean_questions(said, n=5, text="") == said[:kept]


@pytest.mark.parametrize(
    ("question", "is_kept"),
    [
        ("因自愿实施紧急救助行为造成受助人伤害的，救助人", False),  # 22 of 23 alike: 95.7
        ("因自愿实施紧急救助行为造成受助人伤害的", True),  # 18 of 19: 94.7
        ("自愿紧急救助 受助人损害 不承担民事责任", True),  # keywords
        ("救助人不承担民事责任吗", True),  # too short for "nearly"
        ("自愿救人造成对方损害，要承担民事责任吗", True),
    ],
)
def test_what_is_nearly_a_sentence_of_the_text_is_dropped(question, is_kept):
    assert bool(clean_questions([question], n=5, text=TEXT)) is is_kept


def test_an_english_near_copy_is_dropped():
    text = "An employee may carry over at most five days of paid annual leave into the next year."
    said = ["an employee can carry over at most five days of paid annual leave", "how much vacation can I keep"]
    assert clean_questions(said, n=5, text=text) == said[1:]


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


@pytest.mark.parametrize(
    "answer",
    [
        '{"questions": [' + '\\"' * 100_000,
        '["' * 100_000,
        "1. " * 70_000,
        "问\n" * 100_000,
        "{" * 200_000,
        "<think>" * 30_000,
        "```" * 70_000,
        "**" * 100_000,
        '{"a"' + " " * 200_000,
    ],
)
def test_a_long_answer_takes_linear_time(answer):
    started = time.process_time()
    assert len(parse_questions(answer, n=5, text="合同" * 100)) <= 5
    assert time.process_time() - started < 20  # minutes where each quote or number reads on to the end


def test_a_broken_list_keeps_its_whole_strings():
    assert split_answer(
        '{"questions": ["什么是\\"合同\\"", "谁可以',
    ) == ['什么是"合同"']
    assert split_answer('["一\\') == ['["一\\']
