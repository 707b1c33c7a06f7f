from __future__ import annotations

import time

import pytest

from bothways.search.answering.writing.answer_text import Writing


def written(*pieces, question="年假几天", n=2, whole=True):
    writing = Writing(question, n=n)
    shown = [*map(writing.feed, pieces), writing.close(whole=whole)]
    return writing, shown


def test_an_answer():
    writing, shown = written("五", "天", "[1", "]。[3]")
    assert shown == ["五", "天", "", "[1]。", ""]
    assert (writing.status, writing.text, writing.cited, writing.removed) == ("answered", "五天[1]。", [1], 1)


@pytest.mark.parametrize("pieces", [["未", "知", "。"], ["未知[9]"], ["unknown"], ["  未知", "\n因为资料没有提到[7]"]])
def test_unknown_is_shown_as_the_one_word(pieces):
    writing, shown = written(*pieces)
    assert shown == [*[""] * len(pieces), "未知"]
    assert (writing.status, writing.text, writing.cited) == ("unknown", "未知", [])


def test_unknown_to_an_english_question():
    assert written("未知", question="how many days?")[0].text == "unknown"


def test_what_only_began_like_it():
    writing, shown = written("未", "知来源的介质不得接入[2]")
    assert shown == ["", "未知来源的介质不得接入", "[2]"]  # a citation once no address follows
    assert writing.status == "answered"


def test_an_answer_that_goes_on_after_the_word_and_cites_is_held_back_but_not_lost():
    writing, shown = written("未知", "，但试用期为六个月[1]。")
    assert "".join(shown) == writing.text == "未知，但试用期为六个月[1]。"
    assert writing.status == "answered"


def test_without_a_valid_citation_it_is_marked():
    writing, shown = written("大概五天[8]。")
    assert (writing.status, writing.text, writing.removed) == ("uncited", "大概五天。", 1)
    assert "".join(shown) == "大概五天。"


def test_what_declines_in_a_sentence_counts_as_unknown():
    writing, _ = written("资料中没有提到健身房。")
    assert (writing.status, writing.text) == ("unknown", "未知")


def test_a_citation_before_the_word_makes_no_answer_of_it():
    writing, _ = written("[1]", " 未知。")
    assert (writing.status, writing.text, writing.cited) == ("unknown", "未知", [])


def test_what_breaks_off_is_kept_as_far_as_it_came():
    writing, shown = written("五天[1]，另", " [2", whole=False)
    assert "".join(shown) == writing.text == "五天[1]，另"
    assert (writing.status, writing.cited) == ("cut", [1])


@pytest.mark.parametrize("pieces", [[], [" "], ["未"]])
def test_what_breaks_off_before_it_begins_is_nothing(pieces):
    writing, shown = written(*pieces, whole=False)
    assert "".join(shown) == ""
    assert (writing.status, writing.text) == ("failed", None)


def test_the_whole_word_counts_even_where_the_connection_is_lost_behind_it():
    assert written("未知", "。", whole=False)[0].status == "unknown"
    assert written("未知，", "因为", whole=False)[0].text is None


def test_addresses_of_the_passages_stay_and_others_lead_nowhere():
    pieces = ["见 https://a.example/b", "[1]，![](ht", "tp://evil/?q=1)", "\u202e。"]
    writing = Writing("在哪里", n=1, addresses=frozenset({"https://a.example/b"}))
    shown = "".join([*map(writing.feed, pieces), writing.close()])
    assert shown == writing.text == "见 https://a.example/b[1]，[] (hxxp://evil/?q=1)。"
    assert writing.cited == [1]


def test_a_link_that_looks_like_a_citation_is_none():
    writing, shown = written("五天[1]", "(http://evil/)。")
    assert "".join(shown) == writing.text == "五天(hxxp://evil/)。"
    assert (writing.status, writing.cited, writing.removed) == ("uncited", [], 1)


@pytest.mark.parametrize(
    "piece",
    [" ", "\n", "*", "“", "未知，", "[", "[1]", "[9] ", "!", "![", "]", "](", "<", "http:", "www.", "w", "1", "^ "],
)
def test_a_long_answer_takes_linear_time(piece):
    seconds = []
    for count in (20_000, 80_000):
        started = time.process_time()
        written(*[piece] * count)
        written(piece * count)
        seconds.append(time.process_time() - started)
    assert seconds[1] < 10 * seconds[0] + 1  # four times as much; sixteen times where all is read again and again


def test_only_citations_to_nothing_leave_nothing():
    assert written("[9][8]")[0].status == "failed"
