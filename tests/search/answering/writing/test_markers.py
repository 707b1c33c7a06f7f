from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.search.answering.writing.markers import Markers


def checked(text, *, n=3, size=1):
    markers = Markers(n)
    shown = "".join(markers.feed(text[at : at + size]) for at in range(0, len(text), size)) + markers.close()
    return shown, markers.cited, markers.removed


@pytest.mark.parametrize(
    ("text", "shown", "cited", "removed"),
    [
        ("年假五天[1]，病假另计[99]。", "年假五天[1]，病假另计。", [1], 1),
        ("a [1, 3] b [2-3].", "a [1][3] b [2][3].", [1, 3, 2], 0),
        ("甲【2】乙［１］丙[^3]", "甲[2]乙[1]丙[3]", [2, 1, 3], 0),
        ("nothing [4] [0] here [5].", "nothing here.", [], 3),
        ("half [1, 9]", "half [1]", [1], 1),
        ("[1 2][2][1]", "[1][2][2][1]", [1, 2], 0),
        ("range [2-1] [2-99]", "range [2][3]", [2, 3], 2),
        ("dates [2024-05-06], [x], [] and a[i] stay", "dates [2024-05-06], [x], [] and a[i] stay", [], 0),
        ("[[1]]", "[[1]]", [1], 0),
        ("broken off [1", "broken off", [], 1),
        ("broken off [", "broken off [", [], 0),
        ("[" + "1," * 60 + "1] goes, [2] stays", " goes, [2] stays", [2], 1),
        ("a [1](http://x) b", "a(http://x) b", [], 1),
        ("a 【1】(x) [2] (y)", "a(x) [2] (y)", [2], 1),
        ("[[1]](x)", "[[1]](x)", [1], 0),
        ("a" + " " * 100 + "[9].", "a" + " " * 36 + ".", [], 1),
        ("[" + "1   " * 15 + "^^]", "[" + "1   " * 15 + "^^]", [], 0),
        ("  spaces  ", "  spaces", [], 0),
        ("", "", [], 0),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_citations_stay_where_they_name_a_passage(text, shown, cited, removed, size):
    assert checked(text, size=size) == (shown, cited, removed)


def test_what_may_become_a_citation_is_held_back():
    markers = Markers(2)
    assert markers.feed("五天 [") == "五天"
    assert markers.feed("1") == ""
    assert markers.feed("] 六天 [9") == " [1] 六天"
    assert markers.feed("9]。") == "。"
    assert markers.feed("[1]") == ""
    assert markers.feed("(") == "("
    assert (markers.close(), markers.cited, markers.removed) == ("", [1], 2)


@given(st.text("[]【】［］()0123456789,-，、 \n年a^", max_size=200), st.integers(1, 7), st.integers(0, 4))
def test_whatever_comes_no_other_citation_is_shown_and_pieces_make_no_difference(text, size, n):
    shown, cited, removed = checked(text, n=n, size=size)
    assert (shown, cited, removed) == checked(text, n=n, size=1000)
    assert {int(number) for number in re.findall(r"\[(\d+)\]", shown)} <= set(range(1, n + 1))
    assert set(cited) <= set(range(1, n + 1))
