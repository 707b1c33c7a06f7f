from __future__ import annotations

import threading
import time

import pytest

from bothways.core.errors import ModelError
from bothways.core.results import Hit
from bothways.search.rank.rerank import BATCH, Reranker, rerank, sigmoid
from tests.fakes import OverlapCrossEncoder
from tests.search.rank.slow_model import Clock, Slow, numbered

INF = float("inf")


def test_orders_by_logit_and_scores_by_sigmoid():
    hits = [
        Hit(chunk_id="a", score=0.5, text="天气"),
        Hit(chunk_id="b", score=0.4, text="合同违约"),
        Hit(chunk_id="c", score=0.3, text="合同"),
    ]
    scores = Reranker(OverlapCrossEncoder()).score("合同违约", hits)
    assert scores.logits == {"a": 0.0, "b": 4.0, "c": 2.0}
    assert scores.complete
    ranked = rerank(hits, scores.logits)
    assert [h.chunk_id for h in ranked] == ["b", "c", "a"]
    assert ranked[0].cross_encoder == 4.0
    assert ranked[0].score == pytest.approx(0.98201379)


def test_alpha_weighs_the_two_stages():
    hits = [Hit(chunk_id="a", score=0.04), Hit(chunk_id="b", score=0.03), Hit(chunk_id="c", score=0.01)]
    logits = {"a": 0.0, "b": 0.0, "c": 100.0}
    ranked = rerank(hits, logits, alpha=0.4)
    # first stage by its best: 1, .75, .25; sigmoids .5, .5, 1
    assert [(h.chunk_id, round(h.score, 6)) for h in ranked] == [("a", 0.8), ("b", 0.65), ("c", 0.55)]
    assert [h.chunk_id for h in rerank(hits, logits, alpha=0.8)] == ["c", "a", "b"]
    assert [h.score for h in rerank(hits, logits, alpha=0.0)] == [1.0, 0.75, 0.25]
    assert [h.chunk_id for h in rerank(hits, logits, alpha=0.0)] == ["a", "b", "c"]


def test_sigmoids_that_are_equal_are_ordered_by_their_logits():
    hits = [Hit(chunk_id="a", score=0.4), Hit(chunk_id="b", score=0.3), Hit(chunk_id="c", score=0.2)]
    ranked = rerank(hits, {"a": 50.0, "b": 90.0, "c": 50.0})
    assert [h.chunk_id for h in ranked] == ["b", "a", "c"]
    assert [h.score for h in ranked] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("alpha", [1.0, 0.5, 0.1, 0.0])
def test_what_was_not_scored_follows_and_scores_only_fall(alpha):
    hits = [
        Hit(chunk_id="a", score=0.9),
        Hit(chunk_id="b", score=0.8),
        Hit(chunk_id="c", score=0.7),
        Hit(chunk_id="d", score=0.2),
    ]
    ranked = rerank(hits, {"a": -9.0, "d": 1.0}, alpha=alpha)
    assert [h.chunk_id for h in ranked][2:] == ["b", "c"]
    scores = [h.score for h in ranked]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert [h.cross_encoder is None for h in ranked] == [False, False, True, True]


def test_unscored_hits_count_as_if_nothing_was_found_in_them():
    hits = [Hit(chunk_id="a", score=0.4), Hit(chunk_id="b", score=0.2), Hit(chunk_id="c", score=0.1)]
    ranked = rerank(hits, {"a": 0.0}, alpha=0.75)
    assert [h.score for h in ranked] == pytest.approx([0.75 * 0.5 + 0.25, 0.25 * 0.5, 0.25 * 0.25])


def test_nothing_to_rerank():
    assert rerank([], {}) == []
    assert Reranker(OverlapCrossEncoder()).score("q", []).complete
    assert [h.score for h in rerank([Hit(chunk_id="a", score=0.0)], {"a": 0.0}, alpha=0.5)] == [0.25]


@pytest.mark.parametrize(("logit", "expected"), [(0, 0.5), (1000, 1.0), (-1000, 0.0), (2.61, 0.9315)])
def test_sigmoid(logit, expected):
    assert sigmoid(logit) == pytest.approx(expected, abs=1e-4)


def test_without_a_budget_all_are_scored_at_once():
    clock = Clock()
    model = Slow(clock)
    assert Reranker(model, clock=clock).score("问题", numbered(20), budget_s=INF).complete
    assert [len(call) for call in model.calls] == [20]


def test_the_first_search_feels_its_way_and_stops_in_time():
    clock = Clock()
    model = Slow(clock)
    scores = Reranker(model, clock=clock).score("问题", numbered(30), budget_s=12)
    # one, to learn that it takes a second; eight, as 29 do not fit; then three, as there is time for no more
    assert [len(call) for call in model.calls] == [1, BATCH, 3]
    assert clock.now == 12
    assert list(scores.logits) == [f"c{n:02}" for n in range(12)]
    assert not scores.complete
    assert "BOTHWAYS_RERANK_BUDGET_MS" in scores.reason


def test_a_model_that_seems_too_slow_is_given_another_chance_by_one_hit():
    clock = Clock()
    model = Slow(clock)
    reranker = Reranker(model, cache_size=0, clock=clock)
    for _ in range(2):  # a hit takes a second
        assert list(reranker.score("问题", numbered(30), budget_s=0.5).logits) == ["c00"]
    assert clock.now == 2
    model.speed = 1000
    while len(reranker.score("问题", numbered(30), budget_s=0.5).logits) < 30:
        assert clock.now < 3


def test_one_short_pair_says_little_about_long_ones():
    clock = Clock()
    model = Slow(clock)
    reranker = Reranker(model, cache_size=0, clock=clock)
    reranker.score("问题", numbered(30))
    model.overhead = 5
    reranker.score("问", [Hit(chunk_id="a", score=1.0, text="x")])  # .2 s and 5 s of overhead
    model.overhead = 0
    assert reranker.score("问题", numbered(30), budget_s=33).complete


def test_warming_up_asks_local_models_alone():
    clock = Clock()
    model = Slow(clock)
    reranker = Reranker(model, cache_size=0, clock=clock)
    for _ in range(3):
        reranker.warm_up()
    assert len(model.calls) == 1

    class Far(Slow):
        def score_within(self, query, texts, *, timeout_s):
            raise AssertionError

    far = Far(clock)
    Reranker(far, clock=clock).warm_up()
    assert far.calls == []


def test_where_time_is_ample_the_rest_goes_at_once():
    clock = Clock()
    model = Slow(clock)
    reranker = Reranker(model, clock=clock)
    assert reranker.score("问题", numbered(30), budget_s=1000).complete
    assert [len(call) for call in model.calls] == [1, 29]


def test_a_slower_moment_is_noticed_after_a_batch():
    clock = Clock()
    model = Slow(clock)
    reranker = Reranker(model, cache_size=0, clock=clock)
    reranker.score("问题", numbered(1))
    slow = model.score

    def slower(query, texts):
        clock.now += 9 * len(texts)
        return slow(query, texts)

    model.score = slower
    # 40 s: a batch of 8 that is thought to take 8 s takes 80, and no other is begun.
    assert len(reranker.score("问题", numbered(100), budget_s=40).logits) == BATCH


def test_a_model_that_fails_leaves_what_it_had_scored():
    clock = Clock()
    reranker = Reranker(Slow(clock, fail_at=2), clock=clock)
    scores = reranker.score("问题", numbered(30), budget_s=1000)
    assert list(scores.logits) == ["c00"]
    assert scores.reason == "out of memory"
    with pytest.raises(ModelError, match="out of memory"):
        Reranker(Slow(clock, fail_at=1), clock=clock).score("问题", numbered(3))


def test_scores_that_are_no_numbers_are_a_model_error():
    model = Slow(Clock())
    model.score = lambda query, texts: [float("nan")] * len(texts)
    with pytest.raises(ModelError, match="fake/slow gives scores that are no numbers"):
        Reranker(model).score("问题", numbered(3))


def test_what_was_scored_is_remembered():
    clock = Clock()
    model = Slow(clock)
    reranker = Reranker(model, clock=clock)
    hits = numbered(5)
    reranker.score("问题", hits[:3])
    again = reranker.score("问题", hits)
    assert (again.cached, again.candidates, again.complete) == (3, 5, True)
    assert model.calls[1] == [hits[3].text, hits[4].text]
    assert reranker.score("问题", hits, budget_s=0).cached == 5
    assert reranker.score("别的", hits[:1]).cached == 0
    assert reranker.score("问题", [Hit(chunk_id="c00", score=1.0, text="changed!")]).cached == 0
    assert reranker.score("问题", [Hit(chunk_id="c00", score=1.0, title="其他", text=hits[0].text)]).cached == 0
    assert len(model.calls) == 5


def test_the_budget_finishes_over_several_searches():
    clock = Clock()
    reranker = Reranker(Slow(clock), clock=clock)
    scored = [len(reranker.score("问题", numbered(30), budget_s=10).logits) for _ in range(4)]
    assert scored == [10, 20, 30, 30]


class Exclusive:
    """Notes how many threads compute at the same time."""

    name = "fake/exclusive"

    def __init__(self):
        self.inside = 0
        self.most = 0
        self.lock = threading.Lock()

    def score(self, query, texts):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        time.sleep(0.01)
        with self.lock:
            self.inside -= 1
        return [float(text[-1]) for text in texts]


@pytest.mark.parametrize("at_once", [1, 2])
def test_searches_at_once_share_the_cores(at_once):
    model = Exclusive()
    reranker = Reranker(model, at_once=at_once)
    found = {}

    def search(n):
        found[n] = reranker.score(f"q{n}", [Hit(chunk_id="a", score=1.0, text=f"x{n}")], budget_s=30).logits

    threads = [threading.Thread(target=search, args=(n,)) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert model.most == at_once
    assert found == {n: {"a": float(n)} for n in range(8)}


def test_who_waits_for_others_longer_than_its_time_goes_without():
    busy = threading.Event()
    inside = threading.Event()

    class Busy:
        name = "fake/busy"

        def score(self, query, texts):
            inside.set()
            busy.wait(5)
            return [0.0] * len(texts)

    reranker = Reranker(Busy())
    first = threading.Thread(target=reranker.score, args=("q", [Hit(chunk_id="a", score=1.0, text="x")]))
    first.start()
    inside.wait(5)
    started = time.monotonic()
    scores = reranker.score("q2", [Hit(chunk_id="a", score=1.0, text="x")], budget_s=0.05)
    assert 0.04 < time.monotonic() - started < 0.5
    assert (scores.logits, scores.complete) == ({}, False)
    busy.set()
    first.join()
