"""Questions that are kept out, in whatever spacing, width or wording they come back."""

from __future__ import annotations

import pytest

from bothways.learning.leakage import LeakageFilter

QUERY = "邻居装修太吵，我可以报警吗？"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (QUERY, "same"),
        ("邻居装修太吵 我可以报警吗?", "same"),
        ("邻居装修很吵，我可以报警吗？", "near"),  # 12 letters, one exchanged: ratio 1 - 2/24 = 92
        ("公司拖欠工资怎么办？", None),
        ("", None),
    ],
)
def test_what_is_found(text, found):
    assert LeakageFilter([QUERY, "另一个问题"]).match(text) == found


def test_nothing_kept_out_finds_nothing():
    assert LeakageFilter([]).match(QUERY) is None


def test_equal_questions_count_once():
    assert len(LeakageFilter([QUERY, QUERY.replace("？", "?")])) == 1
