"""Rules on toy data: what can be learnt is, what is hopeless gives never, and every figure is worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bothways.core.errors import UsageError
from bothways.evaluation.expansion.report import page, policies, samples, summarise
from bothways.evaluation.expansion.rewards import Example, FirstPass
from bothways.evaluation.expansion.rule import (
    Frame,
    always,
    asked,
    built_in,
    choose,
    gap,
    logistic,
    logistic_regression,
)
from bothways.evaluation.judged.queries import split_of
from bothways.search.query.when_to_rewrite import ExpansionRule, Term

FRAME = Frame(strategy="hybrid", embedding_model="m", with_bm25=True, price=0.01)


def example(number, reward, *, gap_10=0.1, length=3.0, plain=0.5, in_use=False, may_ask=True, **signs):
    first = FirstPass(value=plain, signs={"gap_10": gap_10, "length": length, **signs}, in_use=in_use, may_ask=may_ask)
    return Example(f"q{number}", first, [reward])


def separable(number=60):
    """Give queries whose expansions help below a gap of .2, and harm above it."""
    return [example(n, 0.3 if n % 2 else -0.3, gap_10=(0.1 if n % 2 else 0.3) + 0.0001 * n) for n in range(number)]


def test_what_the_gap_tells_is_learnt():
    choice = choose(separable(), FRAME)
    assert choice.rule.kind == "gap"
    assert 0.1059 < choice.rule.intercept < 0.3  # between the highest gap of those that help and the lowest of others
    assert choice.chosen.tolist() == [bool(n % 2) for n in range(60)]
    assert choice.net["gap"] == pytest.approx((0.3 - 0.01) / 2)
    assert choice.net["always"] == pytest.approx(-0.01)


def test_what_several_signs_tell_is_learnt():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(400, 2))
    examples = [
        example(n, 0.3 if a + b > 0 else -0.3, gap_10=float(a), length=float(b)) for n, (a, b) in enumerate(rows)
    ]
    choice = choose(examples, FRAME)
    assert choice.rule.kind == "logistic"
    right = choice.chosen == (rows.sum(axis=1) > 0)
    assert right.mean() > 0.95
    assert choice.rule.terms["gap_10"].weight == pytest.approx(choice.rule.terms["length"].weight, rel=0.3)


@pytest.mark.parametrize("rewards", [(-0.2, -0.1), (0.0, 0.0), (0.005, 0.0)])
def test_where_expansions_bring_too_little_the_rule_is_never(rewards):
    choice = choose([example(n, rewards[n % 2], gap_10=n / 40) for n in range(40)], FRAME)
    assert (choice.rule.kind, choice.name, choice.chosen.any()) == ("never", "never", False)


@pytest.mark.parametrize("seed", range(5))
def test_noise_that_no_sign_explains_gives_never(seed):
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(200, 3))
    examples = [example(n, 0.2 * r - 0.02, gap_10=float(a), length=float(b)) for n, (r, a, b) in enumerate(noise)]
    assert choose(examples, FRAME).rule.kind == "never"


def test_where_they_always_help_the_rule_is_always():
    choice = choose([example(n, 0.1 + 0.001 * (n % 7), gap_10=n / 40) for n in range(40)], FRAME)
    assert (choice.rule.kind, choice.chosen.all()) == ("always", True)


def test_too_few_queries_are_refused():
    with pytest.raises(UsageError, match="9 queries are too few"):
        choose([example(n, 0.1) for n in range(9)], FRAME)


def test_the_bound_of_a_gap_by_hand():
    # Net of .01: +.19 at .1, -.11 at .2, +.09 at .3, -.31 at .4: the best sum is up to .1 alone (.19 > .08, .17).
    some = [example(n, r, gap_10=g) for n, (g, r) in enumerate([(0.4, -0.3), (0.1, 0.2), (0.3, 0.1), (0.2, -0.1)])]
    found = gap(some, FRAME)
    assert (found.kind, found.terms) == ("gap", {"gap_10": Term(-1.0)})
    assert found.intercept == pytest.approx(0.15)
    assert asked(found, some).tolist() == [False, True, False, False]


def test_equal_gaps_are_on_one_side():
    some = [example(0, 0.2, gap_10=0.1), example(1, -0.1, gap_10=0.1), example(2, -0.1, gap_10=0.3)]
    assert asked(gap(some, FRAME), some).tolist() == [True, True, False]
    assert gap([example(0, 0.1, gap_10=0.1), example(1, -0.2, gap_10=0.1)], FRAME).kind == "never"


def test_a_weighted_regression_by_hand():
    # One sign of 0 or 1: the log-odds of the weights on each side, 1 : 3 and 4 : 2.
    x = np.array([[0.0], [0.0], [1.0], [1.0]])
    found = logistic_regression(x, np.array([True, False, True, False]), np.array([1.0, 3.0, 4.0, 2.0]), 1e-9)
    assert found[0] == pytest.approx(math.log(1 / 3), abs=1e-3)
    assert found[0] + found[1] == pytest.approx(math.log(2), abs=1e-3)


def test_the_slope_is_zero_where_a_regression_ends():
    rng = np.random.default_rng(3)
    x, weights = rng.normal(size=(50, 3)), rng.uniform(0, 5, size=50)
    positive = x[:, 0] + rng.normal(size=50) > 0
    found = logistic_regression(x, positive, weights, 2.0)
    odds = 1 / (1 + np.exp(-(found[0] + x @ found[1:])))
    assert x.T @ (weights * (positive - odds)) == pytest.approx(2.0 * found[1:], abs=1e-4)
    assert (weights * (positive - odds)).sum() == pytest.approx(0, abs=1e-4)


def test_one_side_alone_needs_no_regression():
    assert logistic(1.0)([example(n, 0.2) for n in range(4)], FRAME).kind == "always"
    assert logistic(1.0)([example(n, -0.2) for n in range(4)], FRAME).kind == "never"


def test_the_built_in_bound_is_that_of_searches():
    assert built_in([], FRAME).intercept == 0.10
    assert built_in([], Frame(strategy="dense", embedding_model="m", with_bm25=False)).intercept == 0.07


def test_who_cannot_be_told_is_decided_by_what_is_in_use():
    first = FirstPass(value=0.5, signs={"length": 3.0}, in_use=True, may_ask=True)
    rule = ExpansionRule(
        kind="gap", intercept=-9.0, terms={"gap_10": Term(-1.0)}, strategy="hybrid", embedding_model="m"
    )
    assert asked(rule, [Example("q", first, [0.1])]).tolist() == [True]


def test_citations_are_never_asked_about():
    some = [example(0, 0.1, may_ask=False), example(1, 0.1)]
    assert asked(always(some, FRAME), some).tolist() == [False, True]


def test_samples_by_hand():
    some = [Example("a", FirstPass(value=0.4, signs={}, in_use=False, may_ask=True), [0.2, -0.1, 0.0]),
            Example("b", FirstPass(value=0.6, signs={}, in_use=False, may_ask=True), [0.4])]  # fmt: skip
    told = samples(some)
    assert told["without"]["mean"] == pytest.approx(0.5)
    assert told["mean_of_n"]["mean"] == pytest.approx((0.1 / 3 + 0.4) / 2)
    assert told["best_of_n"]["mean"] == pytest.approx(0.3)
    assert (told["queries"], told["samples"], told["better"], told["worse"], told["equal"]) == (2, 4, 2, 1, 1)


def test_policies_by_hand():
    some = [example(0, 0.2, plain=0.4), example(1, -0.1, plain=0.6), example(2, 0.0, plain=0.5)]
    flags = {"always": np.array([True] * 3), "in use": np.array([True, False, False]), "never": np.array([False] * 3)}
    told = policies(some, flags, 0.03)
    assert told["always"]["asked"] == 1
    assert told["always"]["gain"]["mean"] == pytest.approx(0.1 / 3)
    assert told["always"]["net"]["mean"] == pytest.approx(0.1 / 3 - 0.03)
    assert told["in use"]["gain"]["mean"] == pytest.approx(0.2 / 3)
    assert told["in use"]["ndcg@10"]["mean"] == pytest.approx(1.7 / 3)
    assert told["in use"]["per_call"] == pytest.approx(0.2)
    assert told["in use"]["gain_over_always"]["mean"] == pytest.approx(0.1 / 3)
    assert told["never"]["per_call"] is None
    assert told["never"]["gain_over_in_use"]["mean"] == pytest.approx(-0.2 / 3)


def test_the_rule_is_learnt_on_train_alone():
    train = [one for one in separable(200) if split_of(one.query_id) == "train"]
    misleading = [Example(one.query_id, one.first, [-9.0]) for one in separable(200) if split_of(one.query_id) == "dev"]
    assert misleading
    told, rule = summarise([*train, *misleading], FRAME)
    _, alone = summarise(train, FRAME)
    assert rule == alone
    assert told["parts"]["dev"]["queries"] == len(misleading)
    assert told["rules"]["train"]["learnt"]["asked"] == pytest.approx(0.5, abs=0.05)
    assert told["rules"]["dev"]["learnt"]["gain"]["mean"] == pytest.approx(-9 * told["rules"]["dev"]["learnt"]["asked"])
    about = {"collection": "c", "strategy": "hybrid", "source": "s", "counts": {"queries": 200}, "command": "x"}
    shown = page({**told, **about})
    assert f"| learnt | {told['rules']['dev']['learnt']['asked']:.0%} |" in shown
    assert "Chosen: gap." in shown


def test_too_few_train_queries_give_no_rule():
    told, rule = summarise([one for one in separable(12) if split_of(one.query_id) == "train"][:9], FRAME)
    assert rule is None
    assert told["rules"] == {}
