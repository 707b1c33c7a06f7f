"""Users of known taste: what is learnt from their clicks is right, however the ranking is biased, and poison is not.

Figures are of fixed seeds; docs/decisions/feedback.md has them all.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.learning.simulated_readers import (
    INFORMATIONAL,
    NAVIGATIONAL,
    CascadeReader,
    RandomReader,
    simulated_rows,
)
from bothways.learning.feedback.wording import Wording
from bothways.learning.judgments.clicks import Tally, read_sessions
from bothways.learning.judgments.evidence import gather
from bothways.learning.judgments.judge import judge
from tests.learning.feedback.test_recorder import result
from tests.learning.judgments.test_clicks import session
from tests.learning.simulated import BAIT, BURIED, FOUND, RELEVANT, World, wrong

PAIRS = 400
"""40 questions of 10 chunks."""


def by_question(judged):
    found = {}
    for one in judged.judgments:
        found.setdefault(one.query, {})[one.chunk_id] = one
    return found


def click_rate(ledger, query, chunk):
    one = ledger.evidence[query, chunk]
    return one.clicked.total() / max(one.seen.total(), 1)


def test_readers_do_as_they_are_told():
    chance = np.random.default_rng(0)
    sure = CascadeReader(click=(0.0, 1.0), content=(0.0, 1.0), vote=(0.0, 1.0), patience=1.0)
    assert sure.react(["a", "b", "c"], {"b": 1, "c": 1}, chance) == [("b", "click"), ("b", "up")]
    looker = CascadeReader(click=(1.0, 1.0), content=(0.0, 0.0), vote=(1.0, 0.0), patience=1.0)
    assert looker.react(["a", "b"], {"b": 1}, chance) == [("a", "click"), ("a", "down"), ("b", "click")]
    tired = CascadeReader(click=(0.0, 1.0), content=(0.0, 1.0), patience=0.0)
    assert tired.react(["a", "b"], {"b": 1}, chance) == []
    assert RandomReader(1.0).react(["a", "b"], {}, chance) == [("a", "click"), ("b", "click")]
    again = [NAVIGATIONAL.react(list("abcdef"), {"d": 1}, np.random.default_rng(7)) for _ in range(2)]
    assert again[0] == again[1]


def test_readers_click_with_their_probabilities():
    chance = np.random.default_rng(1)
    clicks = [NAVIGATIONAL.react(["a"], {"a": 1}, chance) for _ in range(2000)]
    assert np.mean([bool(acted) for acted in clicks]) == pytest.approx(0.95, abs=0.02)
    reached = [INFORMATIONAL.react(["a", "b"], {"b": 1}, chance) for _ in range(4000)]
    # Goes on after the first with .85, unless a click (.4) made it content (.1); clicks the second with .9.
    assert np.mean([("b", "click") in acted for acted in reached]) == pytest.approx(0.85 * 0.96 * 0.9, abs=0.03)


def test_readers_of_real_answers_are_recorded_as_users_are(tmp_path):
    sure = CascadeReader(click=(0.0, 1.0), content=(0.0, 1.0), patience=1.0)
    rows = simulated_rows(
        result(), sure, {"b-0": 1}, np.random.default_rng(0), wording=Wording("plain", tmp_path), now=1_800_000_000.0
    )
    tally = Tally()
    (found,) = read_sessions([rows[0].source], [row.source for row in rows[1:]], tally)
    assert dict(found.actions) == {"b-0": {"click"}}
    assert (found.hour, found.passed_over()) == ("2027-01-15T08", {"a-0"})
    assert rows[1].source["event_attributes"]["position"] == {"ordinal": 2}
    assert rows[1].source["timestamp"] == "2027-01-15T08:00:05.000+00:00"


@pytest.mark.parametrize("seed", [1, 2])
def test_a_biased_ranking_does_not_fool_it_and_fools_click_rates(seed):
    world = World(readers=[NAVIGATIONAL, INFORMATIONAL], shares=[0.5, 0.5], searches=200, seed=seed)
    ledger = world.ledger()
    found = by_question(judge(ledger))
    ours = np.mean([one[BURIED].relevance > one[BAIT].relevance for one in found.values()])
    naive = np.mean([click_rate(ledger, query, BURIED) > click_rate(ledger, query, BAIT) for query in found])
    assert ours >= 0.85
    assert naive <= 0.2


@pytest.mark.parametrize("seed", [1, 2])
def test_relevance_orders_better_than_click_rates(seed):
    ledger = World(readers=[NAVIGATIONAL, INFORMATIONAL], shares=[0.5, 0.5], searches=60, seed=seed).ledger()
    found = by_question(judge(ledger))
    pairs = [(query, a, b) for query, one in found.items() for a in RELEVANT for b in one if b not in RELEVANT]
    ours = np.mean([found[query][a].relevance > found[query][b].relevance for query, a, b in pairs])
    naive = np.mean([click_rate(ledger, query, a) > click_rate(ledger, query, b) for query, a, b in pairs])
    assert ours >= 0.93
    assert ours >= naive + 0.1


@pytest.mark.parametrize("readers", [[NAVIGATIONAL], [NAVIGATIONAL, INFORMATIONAL]])
def test_certain_judgments_are_right(readers):
    judged = judge(World(readers=readers, shares=[1 / len(readers)] * len(readers), seed=3).ledger())
    answers, wrong_answers = wrong(judged, "positive")
    others, wrong_others = wrong(judged, "negative")
    assert len(answers) >= 35
    assert len(others) >= 30
    assert len(wrong_answers) <= 1
    assert wrong_others == []
    assert {one.chunk_id for one in answers} >= {FOUND}


@pytest.mark.parametrize("click", [0.1, 0.2])
def test_random_clicks_alone_make_few_certain_judgments(click):
    """With 40 searches each of 40 questions: under 1 % of the pairs become answers, and under 3 % non-answers."""
    judged = judge(World(readers=[RandomReader(click)], shares=[1.0], searches=40, seed=4).ledger())
    assert len(judged.having("positive")) <= 0.01 * PAIRS
    assert len(judged.having("negative")) <= 0.03 * PAIRS


@pytest.mark.parametrize("readers", [[NAVIGATIONAL], [NAVIGATIONAL, INFORMATIONAL]])
def test_a_ranking_that_never_changes_makes_no_wrong_judgment(readers):
    """Nothing can be learnt of the ranks then; what users passed over tells enough."""
    judged = judge(World(readers=readers, shares=[1 / len(readers)] * len(readers), spread=0.0, seed=6).ledger())
    assert not judged.propensities.is_learnt
    for verdict, at_least in (("positive", 35), ("negative", 30)):
        found, mistaken = wrong(judged, verdict)
        assert len(found) >= at_least
        assert len(mistaken) <= 1


def test_short_lists_are_judged_as_well():
    world = World(readers=[NAVIGATIONAL, INFORMATIONAL], shares=[0.5, 0.5], searches=60, top_k=5, seed=7)
    answers, mistaken = wrong(judge(world.ledger()), "positive")
    assert len(answers) >= 30
    assert mistaken == []


def test_a_fifth_of_random_clicks_among_real_ones_makes_no_wrong_answer():
    poisoned = World(readers=[NAVIGATIONAL, RandomReader(0.2)], shares=[0.8, 0.2], seed=5)
    judged = judge(poisoned.ledger())
    answers, wrong_answers = wrong(judged, "positive")
    _, wrong_others = wrong(judged, "negative")
    assert len(answers) >= 30
    assert len(wrong_answers) <= 1
    assert len(wrong_others) <= 1


def test_one_client_that_clicks_one_hit_all_the_time():
    """In one hour it proves nothing; over three hours nobody can tell it from several users."""
    hammering = [session(query="q", hour="h1", b="click") for _ in range(500)]
    assert judge(gather(hammering)).having("positive") == []
    for_hours = [session(query="q", hour=f"h{hour}", b="click") for hour in range(3) for _ in range(500)]
    ledger = gather(for_hours)
    assert ledger.evidence["q", "b-0"].speaks_for == 30
    assert [one.chunk_id for one in judge(ledger).having("positive")] == ["b-0"]
