from __future__ import annotations

import pytest

from bothways.evaluation.judged.queries import JudgedQuery
from bothways.evaluation.slices import in_order, label_of, length_of


@pytest.mark.parametrize(
    ("text", "length"), [("年假几天", 4), ("how many days", 3), ("WPS 怎么 打印 A4", 6), ("？！ …", 0), ("can't", 2)]
)
def test_length(text, length):
    assert length_of(text) == length


@pytest.mark.parametrize(
    ("characters", "label"), [(0, "1–10"), (10, "1–10"), (11, "11–20"), (50, "31–50"), (51, "51+")]
)
def test_groups_of_length(characters, label):
    assert label_of(JudgedQuery(query_id="q", text="字" * characters), "length") == label


def test_groups_by_label():
    assert label_of(JudgedQuery(query_id="q", text="a", labels={"tag": "vague"}), "tag") == "vague"
    assert label_of(JudgedQuery(query_id="q", text="a"), "tag") == "–"


def test_order():
    assert in_order(["51+", "vague", "1–10", "11–20", "clear"]) == ["1–10", "11–20", "51+", "clear", "vague"]
