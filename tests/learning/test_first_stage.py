"""What the first stage knows stands beside a reranker's logits while it learns, and where it is measured."""

from __future__ import annotations

import math

import pytest

from learning.first_stage import measure, with_cosines
from learning.reranker_data import Group, read_groups, write_groups
from tests.fakes import HashEncoder

GROUPS = [Group("a", "ab", "ab", ("ac", "dd"), "made up"), Group("b", "c", "dd", ("c",), "made up")]


def test_cosines_of_each_passage_each_text_encoded_once():
    encoder = HashEncoder()
    first, second = with_cosines(GROUPS, encoder)
    assert first.first == pytest.approx((1, 0.5, 0), abs=1e-2), "two of two characters, one of two, none"
    assert second.first == pytest.approx((0, 1), abs=1e-2)
    assert encoder.batches == [2, 4], "two questions; ab, ac, c and dd"


def test_they_are_kept_on_disk(tmp_path):
    groups = with_cosines(GROUPS, HashEncoder())
    write_groups(tmp_path / "groups.jsonl", groups)
    assert read_groups(tmp_path / "groups.jsonl") == groups


def test_measured_with_and_without_what_the_first_stage_knows():
    groups = with_cosines(GROUPS, HashEncoder())
    logits = {("ab", "ab"): 0.0, ("ab", "ac"): 1.0, ("ab", "dd"): -1.0, ("c", "dd"): 3.0, ("c", "c"): 0.0}

    def score(pairs):
        return [logits[pair] for pair in pairs]

    alone = measure(groups, score, residual=0.0)
    assert alone["mrr@10"] == pytest.approx((1 / 2 + 1) / 2)
    assert alone["ndcg@10"] == pytest.approx((1 / math.log2(3) + 1) / 2, abs=1e-4)
    assert measure(groups, score, residual=4.0)["mrr@10"] == pytest.approx((1 + 1 / 2) / 2), "4 > 3; 0 + 4 > 1 + 2"
