from __future__ import annotations

import pytest

from bothways.search.query.script import convert, script_of


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("员工请假应当提前三天提交申请。", "simplified"),
        ("員工請假應當提前三天提交申請。", "traditional"),
        ("你好", None),  # the same in both
        ("No Chinese at all", None),
        ("", None),
        ("员工请假应当申请。員工請假應當申請。", None),
        ("员工请假应当提前三天提交申请，于每月十日发放。" * 3 + "（黃霑）", "simplified"),
    ],
)
def test_the_script_of_a_text(text, script):
    assert script_of(text) == script


def test_a_question_in_the_script_of_the_collection():
    assert convert("員工請假應當提前幾天？", "simplified") == "员工请假应当提前几天？"
    assert convert("员工请假应当提前几天？", "traditional") == "員工請假應當提前幾天？"
    assert convert("E07 pump 😀", "simplified") == "E07 pump 😀"
    for script in ("simplified", "traditional"):
        once = convert("乾隆皇帝的头发很乾淨", script)
        assert convert(once, script) == once
