"""Logits become probabilities: what is fitted is known, since the answers are drawn by it."""

from __future__ import annotations

import numpy as np
import pytest

from bothways.learning.reranker.calibration import fit


def test_scale_and_offset_by_which_answers_were_drawn_are_found():
    chance = np.random.default_rng(1)
    logits = chance.normal(3, 2, 40_000)
    answers = chance.random(40_000) < 1 / (1 + np.exp(-(0.5 * logits - 2)))
    found = fit(list(logits), list(answers))
    assert found.scale == pytest.approx(0.5, abs=0.02)
    rarer = (1 - answers.mean()) / answers.mean()  # as many answers as others move the offset by its log
    assert found.offset == pytest.approx(-2 + np.log(rarer), abs=0.05)
    assert found.after < found.before
    assert found.pairs == 40_000


def test_two_values_by_hand():
    """At 1 half of four pairs are answers, at 0 none of four: targets are 3/4 for answers, 1/8 for the six others.

    Both kinds weigh the same: 2 an answer, 2/3 another.
    """
    logits, answers = [1, 1, 1, 1, 0, 0, 0, 0], [True, True, False, False, False, False, False, False]
    found = fit(logits, answers)
    at_one, at_zero = (4 * 0.75 + 4 / 3 / 8) / (4 + 4 / 3), 1 / 8  # two numbers fit two means exactly
    assert found.offset == pytest.approx(np.log(at_zero / (1 - at_zero)))
    assert found.scale + found.offset == pytest.approx(np.log(at_one / (1 - at_one)))
    losses = 4 * np.log1p(np.exp(-1)) + 4 / 3 * np.log1p(np.exp(1)) + 8 / 3 * np.log(2)
    assert found.before == pytest.approx(losses / 8)


def test_more_of_the_others_change_nothing():
    logits, answers = [2.0, 1.0, 0.5, 0.0], [True, False, True, False]
    few = fit(logits * 50, answers * 50)
    many = fit([*(logits * 50), *([1.0, 0.0] * 450)], [*(answers * 50), *([False, False] * 450)])
    assert many.offset == pytest.approx(few.offset, abs=0.05)
    assert many.scale == pytest.approx(few.scale, abs=0.05)


def test_pairs_that_a_logit_parts_wholly_stay_uncertain():
    found = fit([-50.0] * 20 + [50.0] * 20, [False] * 20 + [True] * 20)
    assert 1 / (1 + np.exp(-(50 * found.scale + found.offset))) == pytest.approx(21 / 22)


@pytest.mark.parametrize(
    ("logits", "answers"), [([1.0, 2.0], [True, True]), ([1.0], [False]), ([], []), ([1.0, 2.0], [True, False])]
)
def test_nothing_is_fitted_to_one_kind_or_against_the_order(logits, answers):
    assert fit(logits, answers) is None
