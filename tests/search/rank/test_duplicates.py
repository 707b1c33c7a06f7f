from __future__ import annotations

import pytest

from bothways.core.results import Copy, Hit
from bothways.search.rank.duplicates import LONG, drop_copies

LEAVE = "员工请假应当提前三天提交申请,经部门主管批准后生效；病假应当在当天上班以前告知主管，并在三日内补交证明。"


def hit(name, text, title="请假", rank=1):
    return Hit(chunk_id=name, score=1 / rank, doc_id=f"doc-{name}", title=title, text=text, source=f"{name}.txt")


def test_the_same_text_is_shown_once_and_its_copies_are_named():
    rows = [hit("a", LEAVE), hit("b", "工资于每月十日发放。"), hit("c", LEAVE, title="休假"), hit("d", LEAVE)]
    kept = drop_copies(rows)
    assert [h.chunk_id for h in kept] == ["a", "b"]
    assert kept[0].duplicates == (
        Copy(chunk_id="c", doc_id="doc-c", title="休假", source="c.txt"),
        Copy(chunk_id="d", doc_id="doc-d", title="请假", source="d.txt"),
    )
    assert kept[1] is rows[1]


def test_white_space_punctuation_case_and_width_make_no_difference():
    rows = [
        hit("a", "退货 E07: 请在 7 天内！"),
        hit("b", "退货ｅ０７：请在７天内\n"),
        hit("c", "退货 E07: 请在 8 天内！"),
    ]
    assert [h.chunk_id for h in drop_copies(rows)] == ["a", "c"]


@pytest.mark.parametrize(
    ("one", "other"), [("重 3.5 克", "重 35 克"), ("低于 -5 度", "低于 5 度"), ("a<b", "a>b"), ("1 2", "12")]
)
def test_what_changes_the_meaning_makes_a_difference(one, other):
    assert len(drop_copies([hit("a", one), hit("b", other)])) == 2


def test_one_other_number_is_another_text():
    assert len(LEAVE) >= LONG
    assert len(drop_copies([hit("a", LEAVE), hit("b", LEAVE.replace("三日", "五日"))])) == 2


def test_short_texts_are_copies_only_under_the_same_title():
    short = "本法自公布之日起施行。"
    rows = [hit("a", short, "甲法"), hit("b", short, "乙法"), hit("c", short, "甲法")]
    assert [h.chunk_id for h in drop_copies(rows)] == ["a", "b"]


def test_texts_that_say_nothing_are_left_alone():
    assert len(drop_copies([hit("a", "……"), hit("b", "……"), hit("c", "")])) == 3
    assert drop_copies([]) == []
