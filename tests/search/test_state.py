from __future__ import annotations

import time
from dataclasses import FrozenInstanceError, replace

import pytest

from bothways.search.state import STAGES, timed
from tests.search.states import state_of


class Pipeline:
    @timed("fuse")
    def fuse(self, state):
        time.sleep(0.01)
        return replace(state, hits=["a"])

    @timed("fuse")
    def fail(self, state):
        raise ValueError


def test_a_stage_returns_another_state_and_its_time_is_counted():
    before = state_of()
    after = Pipeline().fuse(before)
    assert (before.hits, after.hits) == ([], ["a"])
    timings = after.clock.timings()
    assert list(timings) == [*STAGES, "total"]
    assert 10 <= timings["fuse"] <= timings["total"]
    assert timings["rerank"] == 0


def test_a_stage_that_runs_twice_is_counted_twice():
    pipeline = Pipeline()
    assert pipeline.fuse(pipeline.fuse(state_of())).clock.timings()["fuse"] >= 20


def test_an_error_passes_through():
    with pytest.raises(ValueError):
        Pipeline().fail(state_of())


def test_what_failed_is_named_in_order_and_nothing_is_changed_in_place():
    before = state_of().without("self_query")
    assert before.without("rerank", "min_score").degraded == ("self_query", "rerank", "min_score")
    assert before.degraded == ("self_query",)
    assert before.without() is before
    with pytest.raises(FrozenInstanceError):
        before.degraded = ()
