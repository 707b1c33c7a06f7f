from __future__ import annotations

import numpy as np
import pytest

from bothways.evaluation.statistics import compare, confidence, holm, paired_test


def test_the_exact_test_by_hand():
    # Three differences of one sign: of the 8 patterns of signs only +++ and --- are as extreme.
    assert paired_test(np.array([1.0, 2.0, 3.0])) == ("randomisation", pytest.approx(2 / 8))


def test_no_difference_is_no_evidence():
    assert paired_test(np.zeros(50))[1] == 1.0


def test_a_clear_difference_is_found_and_noise_is_not():
    noise = np.random.default_rng(1).normal(size=400)
    assert paired_test(noise - noise.mean())[1] > 0.9
    assert paired_test(noise - noise.mean() + 0.3)[1] < 0.001


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_an_interval_holds_the_mean_and_narrows_with_queries():
    values = np.random.default_rng(1).random(400)
    few, many = confidence(values[:40]), confidence(values)
    assert many.low < many.mean < many.high
    assert many.high - many.low < few.high - few.low
    # The normal approximation is good for 400 values: 1.96 standard errors to each side.
    error = 1.96 * values.std() / 20
    assert many.high - many.mean == pytest.approx(error, rel=0.15)


def test_values_that_are_all_equal_have_no_interval():
    found = confidence(np.ones(30))
    assert (found.low, found.mean, found.high) == (1.0, 1.0, 1.0)


def test_one_value_and_none():
    assert confidence(np.array([0.5])).mean == 0.5
    assert confidence(np.array([])).mean == 0.0


def test_many_queries_are_resampled_in_pieces(monkeypatch):
    values = np.random.default_rng(1).random(300)
    whole, (_, p) = confidence(values), paired_test(values - 0.5)
    monkeypatch.setattr("bothways.evaluation.statistics._NUMBERS_AT_ONCE", 30_000)
    assert confidence(values) == whole
    assert paired_test(values - 0.5)[1] == pytest.approx(p, abs=0.02)


def test_many_queries_are_not_resampled_and_give_the_same(monkeypatch):
    differences = np.random.default_rng(1).normal(0.05, 1, 1500)
    resampled, (name, p) = confidence(differences), paired_test(differences)
    monkeypatch.setattr("bothways.evaluation.statistics.RESAMPLED_UP_TO", 1000)
    quick, (other, near) = confidence(differences), paired_test(differences)
    assert (name, other) == ("randomisation", "t")
    assert near == pytest.approx(p, abs=0.01)
    assert (quick.low, quick.high) == pytest.approx((resampled.low, resampled.high), abs=0.005)


def test_compare():
    base = np.array([0.0, 0.5, 1.0, 0.0])
    better = np.array([1.0, 0.5, 0.5, 1.0])
    one, same = compare({"b": (better, base), "a": (base, base)}, baseline="a", measure="ndcg@10")
    assert (one.better, one.worse, one.equal) == (2, 1, 1)
    assert one.difference.mean == pytest.approx(0.375)
    assert one.p_adjusted == min(1.0, 2 * one.p)
    assert (same.p, same.significant) == (1.0, False)
