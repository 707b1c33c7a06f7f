from __future__ import annotations

import pytest

from bothways.core.errors import UsageError
from bothways.evaluation.tune.grid import make_grid
from bothways.search.options import SearchOptions

RRF = SearchOptions(fusion="rrf")


def test_the_grid_begins_with_what_is_in_use():
    grid = make_grid(["rrf.weights", "rank_constant"], RRF, {"rrf.weights": [0.3], "rank_constant": [10]})
    assert grid == [
        {"weight_bm25": 1.0, "rank_constant": 60},
        {"weight_bm25": 1.0, "rank_constant": 10},
        {"weight_bm25": 0.3, "rank_constant": 60},
        {"weight_bm25": 0.3, "rank_constant": 10},
    ]
    assert all(isinstance(fields["rank_constant"], int) for fields in grid)


def test_a_leg_never_brings_more_than_its_candidates():
    grid = make_grid(["k", "num_candidates"], SearchOptions(), {"k": [100], "num_candidates": [50, 400]})
    assert {"leg_k": 100, "num_candidates": 50} not in grid
    assert {"leg_k": 100, "num_candidates": 400} in grid
    assert grid[0] == {"leg_k": 30, "num_candidates": 200}


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        (["weights"], None, "no parameter 'weights'; there are: fusion, convex.weight, rrf.weights"),
        ([], None, "No parameter is named"),
        (["k"], {"k": [2.5]}, "k wants whole numbers"),
        (["k"], {"k": [0]}, "k wants whole numbers"),
        (["rrf.weights"], {"rrf.weights": [-1]}, "wants numbers from 0 on"),
        (["rank_constant"], {"rank_constant": range(1, 6000)}, "5000 are the most"),
        (["fusion"], {"fusion": ["sum"]}, "fusion is one of convex, rrf, not 'sum'"),
        (["k"], {"k": ["many"]}, "k wants numbers, not 'many'"),
        (["leg_cutoff"], {"leg_cutoff": [1.5]}, "leg_cutoff wants numbers from 0 to 1"),
        (["convex.weight"], None, "convex.weight changes nothing.*BOTHWAYS_FUSION=convex"),
    ],
)
def test_bad_grids(names, values, message):
    with pytest.raises(UsageError, match=message):
        make_grid(names, RRF, values)


def test_rrf_has_no_say_under_convex():
    with pytest.raises(UsageError, match=r"rrf\.weights changes nothing.*BOTHWAYS_FUSION=rrf"):
        make_grid(["rrf.weights"], SearchOptions())


def test_combinations_that_differ_in_what_their_fusion_does_not_use_are_tried_once():
    values = {"convex.weight": [0.5], "rrf.weights": [0.3]}
    grid = make_grid(["fusion", "convex.weight", "rrf.weights"], SearchOptions(), values)
    tried = [(f["fusion"], f["convex_weight"] if f["fusion"] == "convex" else f["weight_bm25"]) for f in grid]
    assert tried == [("convex", 0.2), ("convex", 0.5), ("rrf", 1.0), ("rrf", 0.3)]
