"""The decision, by numbers worked out by hand; what is measured is looked at in tests/integration."""

from __future__ import annotations

import numpy as np
import pytest

from bothways.evaluation.judged.gold import GoldDocument
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.evaluation.run import Answer
from bothways.evaluation.statistics import Interval
from bothways.learning.weekly.gate import Measured, decide, measured


def one(mean, low, high, *, queries=100, required=50, name="regression set", leaked=0, margin=0.02):
    difference = Interval(mean, low, high)
    return Measured(
        name=name,
        measure="ndcg@10",
        queries=queries,
        required=required,
        leaked=leaked,
        live=0.5,
        candidate=0.5 + mean,
        live_hit=0.8,
        candidate_hit=0.8,
        difference=difference,
        better=9,
        worse=3,
        margin=margin,
    )


@pytest.mark.parametrize(
    ("mean", "low", "high", "told"),
    [
        (0.03, 0.01, 0.05, None),
        (0.0, 0.0, 0.0, None),
        (0.005, -0.02, 0.03, None),
        (-0.005, -0.015, 0.005, None),
        (0.005, -0.021, 0.03, "may get worse by more than 0.02"),
        (-0.01, -0.015, -0.005, "gets worse"),
        (-0.2, -0.3, -0.1, "gets worse"),
    ],
)
def test_decide(mean, low, high, told):
    decision = decide([one(mean, low, high)])
    assert decision.accepted is (told is None)
    assert told is None or told in decision.reasons[0]


def test_each_set_has_its_margin_and_neither_may_lose_for_certain():
    assert decide([one(-0.01, -0.045, 0.02, margin=0.05)]).accepted
    assert not decide([one(-0.01, -0.055, 0.02, margin=0.05)]).accepted
    assert not decide([one(-0.01, -0.019, -0.001, margin=0.05)]).accepted


def test_the_reason_is_told_in_numbers():
    [reason] = decide([one(-0.01, -0.03, 0.01)]).reasons
    assert "ndcg@10 0.5000 → 0.4900, difference -0.0100 [-0.0300, +0.0100], 9 queries better, 3 worse" in reason


def test_too_few_queries_decide_nothing():
    [reason] = decide([one(0.5, 0.4, 0.6, queries=49, leaked=7)]).reasons
    assert reason == "regression set: 49 judged queries, 50 are needed; 7 more are indexed questions"


def test_both_sets_have_to_agree():
    good, bad = one(0.1, 0.05, 0.15, name="held-out judgments"), one(-0.1, -0.15, -0.05)
    decision = decide([good, bad])
    assert [reason.split(" gets")[0] for reason in decision.reasons] == ["regression set"]
    assert decide([good, good]).accepted


def side(ranks):
    """Answer each query with its gold document at a rank; 0: not at all."""

    def ask(query):
        rank = ranks[int(query.query_id)]
        found = [f"other{n}" for n in range(1, max(rank, 1))] + (["gold"] if rank else ["other0"])
        return Answer(ranking={document: 1 / place for place, document in enumerate(found, start=1)})

    return ask


def gold_of(queries):
    return {query.query_id: [GoldDocument(doc_id="gold", relevance=1, in_index=True)] for query in queries}


def test_measured_pairs_the_queries():
    queries = [JudgedQuery(query_id=str(n), text=f"q{n}", relevant={"gold": 1}) for n in range(4)]
    live, candidate = side([1, 2, 0, 3]), side([1, 1, 0, 0])
    found = measured("x", queries, (live, candidate), gold_of, measure="mrr@10", margin=0.02, required=2)
    # Reciprocal ranks: 1, 1/2, 0, 1/3 before; 1, 1, 0, 0 after.
    assert found.live == pytest.approx((1 + 1 / 2 + 0 + 1 / 3) / 4)
    assert found.candidate == pytest.approx(2 / 4)
    assert found.difference.mean == pytest.approx((0 + 1 / 2 + 0 - 1 / 3) / 4)
    assert (found.better, found.worse, found.queries) == (1, 1, 4)
    assert (found.live_hit, found.candidate_hit) == (3 / 4, 2 / 4)


def test_a_neutral_change_passes_where_there_are_enough_queries_and_a_noisy_one_where_there_are_few_does_not():
    chance = np.random.default_rng(3)

    def noisy(number):
        ranks = [1, 2, 3]
        queries = [JudgedQuery(query_id=str(n), text=f"q{n}", relevant={"gold": 1}) for n in range(number)]
        drawn = [[int(chance.choice(ranks)) for _ in queries] for _ in range(2)]
        return measured(
            "x", queries, (side(drawn[0]), side(drawn[1])), gold_of, measure="ndcg@10", margin=0.02, required=2
        )

    same = [1, 2, 3] * 100
    queries = [JudgedQuery(query_id=str(n), text=f"q{n}", relevant={"gold": 1}) for n in range(300)]
    assert decide(
        [measured("x", queries, (side(same), side(same)), gold_of, measure="ndcg@10", margin=0.02, required=2)]
    ).accepted
    assert not decide([noisy(12)]).accepted


def test_no_query_at_all():
    nothing = measured("x", [], (side([]), side([])), gold_of, measure="ndcg@10", margin=0.02, required=20)
    assert decide([nothing]).reasons == ["x: 0 judged queries, 20 are needed"]
