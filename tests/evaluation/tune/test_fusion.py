from __future__ import annotations

import numpy as np
import pytest

from bothways.evaluation.statistics import Interval, compare
from bothways.evaluation.tune.fusion import SETTINGS_HEAD, Tuning, cross_validate, settings_lines


def test_cross_validation_does_not_flatter():
    # 200 combinations that are pure chance: the best looks good in sample, and is worth .5 held out.
    chance = np.random.default_rng(3).integers(0, 2, size=(200, 100)).astype(float)
    assert chance.mean(axis=1).max() > 0.6
    assert cross_validate(chance, 5).mean() == pytest.approx(0.5, abs=0.1)


def test_cross_validation_finds_what_is_better_everywhere():
    matrix = np.vstack([np.full(20, 0.4), np.full(20, 0.6)])
    assert list(cross_validate(matrix, 5)) == [0.6] * 20


def test_the_settings_file():
    (gain,) = compare({"tuned": (np.ones(4), np.zeros(4))}, baseline="in use", measure="ndcg@10")
    best = {"weight_bm25": 0.3, "rank_constant": 20}
    tuning = Tuning(
        measure="ndcg@10",
        queries=4,
        folds=2,
        current={"weight_bm25": 1.0},
        current_mean=0.0,
        best=best,
        best_mean=1.0,
        held_out=Interval(1, 1, 1),
        gain=gain,
        legs={},
        trials=[],
    )
    lines = settings_lines(tuning, collection="law", queries_file="q.jsonl").splitlines()
    assert lines[0] == f"{SETTINGS_HEAD} for the collection 'law'"
    assert lines[-1] == 'BOTHWAYS_FIXED=\'{"weight_bm25": 0.3, "rank_constant": 20, "weight_dense": 1.0}\''
    assert tuning.improves


@pytest.mark.parametrize(
    ("fusion", "lines"),
    [
        ("convex", ["BOTHWAYS_FUSION=convex", "BOTHWAYS_CONVEX_WEIGHT=0.2"]),
        ("rrf", ["BOTHWAYS_FUSION=rrf", 'BOTHWAYS_FIXED=\'{"weight_bm25": 0.3, "weight_dense": 1.0}\'']),
    ],
)
def test_the_settings_file_has_what_the_fusion_uses(fusion, lines):
    (gain,) = compare({"tuned": (np.ones(4), np.zeros(4))}, baseline="in use", measure="ndcg@10")
    best = {"fusion": fusion, "convex_weight": 0.2, "weight_bm25": 0.3}
    tuning = Tuning(
        measure="ndcg@10",
        queries=4,
        folds=2,
        current=best,
        current_mean=0.0,
        best=best,
        best_mean=1.0,
        held_out=Interval(1, 1, 1),
        gain=gain,
        legs={},
        trials=[],
    )
    assert settings_lines(tuning, collection="law", queries_file="q.jsonl").splitlines()[3:] == lines
