"""The share of a reranker's scores, chosen by people's questions kept aside."""

from __future__ import annotations

import math

import pytest

from bothways.learning.reranker.blending import FEW, SHARES, best_share
from bothways.learning.reranker.data.groups import Group


def group(number, first, kind="judged"):
    return Group(
        key=f"k{number}",
        query="问",
        positive="答",
        negatives=("甲", "乙"),
        source="made up",
        part="dev",
        first=first,
        kind=kind,
    )


def logit(chance):
    return math.log(chance / (1 - chance))


def test_the_share_is_chosen_that_puts_most_answers_first():
    # Half of them the first stage has nearly right, and the model wrong; the others the model knows surely.
    nearly, known = (0.9, 1.0, 0.2), (0.6, 1.0, 0.2)
    groups = [group(number, nearly if number % 2 else known) for number in range(40)]
    unsure, sure = [logit(0.45), logit(0.5), logit(0.99)], [logit(0.95), logit(0.05), logit(0.05)]
    found = best_share(groups, [unsure if number % 2 else sure for number in range(40)])
    assert found.groups == 40
    assert list(found.measures) == list(SHARES)
    # Of `known` the answer is first where .9 · share > .4 · (1 - share), from .31 on. Of `nearly` it never is, and it
    # is third where .54 · share > .7 · (1 - share), from .56 on.
    assert found.alpha == 0.35
    assert found.measures[0.0] == pytest.approx(1 / math.log2(3), abs=1e-4)
    assert found.measures[0.35] == pytest.approx((1 + 1 / math.log2(3)) / 2, abs=1e-4)
    assert found.measures[1.0] < found.measures[0.35]


def test_a_model_that_brings_nothing_gets_no_share():
    groups = [group(number, (1.0, 0.5, 0.2)) for number in range(FEW)]
    assert best_share(groups, [[-1.0, 1.0, 1.0]] * FEW).alpha == 0.0


def test_too_few_questions_of_people_tell_nothing():
    groups = [group(number, (0.9, 1.0, 0.2)) for number in range(FEW - 1)]
    groups += [group(number, (0.9, 1.0, 0.2), kind="questions") for number in range(FEW, 2 * FEW)]
    groups += [group(2 * FEW, ()), group(2 * FEW + 1, (0.2, 1.0, 0.2))]  # not searched for; not found
    assert best_share(groups, [[0.0, 0.0, 0.0]] * len(groups)) is None
