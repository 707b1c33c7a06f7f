"""What the first stage knows stands beside a reranker's logits while it learns, and where it is measured."""

from __future__ import annotations

import math

import pytest

from bothways.core.results import Hit, LegScore
from bothways.learning.reranker.data.first_stage import first_stage, measure
from bothways.learning.reranker.data.groups import Group, read_groups, write_groups

FIRST = [(1.0, 0.5, 0.0), (0.0, 1.0)]
GROUPS = [
    Group(key="a", query="ab", positive="ab", negatives=("ac", "dd"), source="made up", first=FIRST[0], kind="judged"),
    Group(key="b", query="c", positive="dd", negatives=("c",), source="made up", first=FIRST[1]),
]


def brought(name, cosine):
    score = (1 + cosine) / 2
    return Hit(chunk_id=name, score=score, legs={"text_sem": LegScore(rank=1, score=score)})


LEGS = {"text_sem": [brought("a", 0.8), brought("b", 0.6)], "bm25": [Hit(chunk_id="c", score=12.0)]}
HITS = [Hit(chunk_id=name, score=0.0) for name in "bca"]


def test_of_pseudo_questions_it_is_the_cosine_with_the_text():
    assert first_stage(HITS, LEGS, {"c": 1.0}, kind="questions") == pytest.approx((0.6, 0.6, 0.8))
    assert first_stage(HITS, {"bm25": [Hit(chunk_id="c", score=12.0)]}, {"c": 1.0}, kind="questions") == (0, 0, 0)


@pytest.mark.parametrize("kind", ["judged", "clicks"])
def test_of_peoples_questions_it_is_the_share_of_the_best_score(kind):
    assert first_stage(HITS, LEGS, {"c": 1.0, "b": 0.7}, kind=kind) == (0.7, 1.0, 0.7)


def test_they_are_kept_on_disk(tmp_path):
    write_groups(tmp_path / "groups.jsonl", GROUPS)
    assert read_groups(tmp_path / "groups.jsonl") == GROUPS


def test_measured_with_and_without_what_the_first_stage_knows():
    logits = {("ab", "ab"): 0.0, ("ab", "ac"): 1.0, ("ab", "dd"): -1.0, ("c", "dd"): 3.0, ("c", "c"): 0.0}

    def score(pairs):
        return [logits[pair] for pair in pairs]

    alone = measure(GROUPS, score, residual=0.0)
    assert alone["mrr@10"] == pytest.approx((1 / 2 + 1) / 2)
    assert alone["ndcg@10"] == pytest.approx((1 / math.log2(3) + 1) / 2, abs=1e-4)
    assert measure(GROUPS, score, residual=4.0)["mrr@10"] == pytest.approx((1 + 1 / 2) / 2), "4 > 3; 0 + 4 > 1 + 2"
