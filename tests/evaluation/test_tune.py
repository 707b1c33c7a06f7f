from __future__ import annotations

import numpy as np
import pytest

from core.errors import UsageError
from evaluation.statistics import Interval, compare
from evaluation.tune import SETTINGS_HEAD, Tuning, cross_validate, make_grid, settings_lines
from search.options import SearchOptions


def test_the_grid_begins_with_what_is_in_use():
    grid = make_grid(["rrf.weights", "rank_constant"], SearchOptions(), {"rrf.weights": [0.3], "rank_constant": [10]})
    assert grid == [
        {"weight_bm25": 1.0, "rank_constant": 60},
        {"weight_bm25": 1.0, "rank_constant": 10},
        {"weight_bm25": 0.3, "rank_constant": 60},
        {"weight_bm25": 0.3, "rank_constant": 10},
    ]
    assert all(isinstance(fields["rank_constant"], int) for fields in grid)


def test_a_leg_never_brings_more_than_its_candidates():
    grid = make_grid(["k", "num_candidates"], SearchOptions(), {"k": [100], "num_candidates": [50, 200]})
    assert {"leg_k": 100, "num_candidates": 50} not in grid
    assert {"leg_k": 100, "num_candidates": 200} in grid
    assert grid[0] == {"leg_k": 30, "num_candidates": 100}


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        (["weights"], None, "no parameter 'weights'; there are: rrf.weights"),
        ([], None, "No parameter is named"),
        (["k"], {"k": [2.5]}, "k wants whole numbers"),
        (["k"], {"k": [0]}, "k wants whole numbers"),
        (["rrf.weights"], {"rrf.weights": [-1]}, "wants numbers from 0 on"),
        (["rank_constant"], {"rank_constant": range(1, 6000)}, "5000 are the most"),
    ],
)
def test_bad_grids(names, values, message):
    with pytest.raises(UsageError, match=message):
        make_grid(names, SearchOptions(), values)


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
    tuning = Tuning("ndcg@10", 4, 2, {"weight_bm25": 1.0}, 0.0, best, 1.0, Interval(1, 1, 1), gain, {}, [])
    lines = settings_lines(tuning, collection="law", queries_file="q.jsonl").splitlines()
    assert lines[0] == f"{SETTINGS_HEAD} for the collection 'law'"
    assert lines[-3:] == ["BOTHWAYS_WEIGHT_BM25=0.3", "BOTHWAYS_RANK_CONSTANT=20", "BOTHWAYS_WEIGHT_DENSE=1"]
    assert tuning.improves
