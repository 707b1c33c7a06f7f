from __future__ import annotations

import math

import numpy as np
import pytest

from bothways.cli.verbs.calibrate import SETTINGS_HEAD, settings_lines
from bothways.core.settings import load_settings
from bothways.evaluation.tune.calibrate import Threshold, choose_threshold, cut

# Twenty first hits: the ten best are relevant but for one, then it goes up and down.
SCORES = np.array([0.95, 0.94, 0.93, 0.92, 0.91, 0.90, 0.89, 0.88, 0.87, 0.86, *np.linspace(0.5, 0.05, 9), -math.inf])
RIGHT = np.array([True] * 9 + [False] + [True, True] + [False] * 8)


def choose(wanted, scores=SCORES, right=RIGHT, folds=2):
    return choose_threshold(scores, right, wanted=wanted, folds=folds, strategy="hybrid_rerank")


def test_a_threshold_by_hand():
    assert cut(SCORES, RIGHT, 0.86) == Threshold(min_score=0.86, precision=9 / 10, recall=9 / 11, answered=10 / 20)
    assert cut(SCORES, RIGHT, 0.0) == Threshold(min_score=0.0, precision=11 / 19, recall=1.0, answered=19 / 20)
    assert cut(SCORES, RIGHT, 2.0) == Threshold(min_score=2.0, precision=0.0, recall=0.0, answered=0.0)


def test_the_lowest_threshold_that_is_precise_enough_is_chosen():
    # 10 of 11 and 11 of 12 hits are relevant down to the twelfth, 11 of 13 at the next one.
    found = choose(0.9)
    assert found.proposed.min_score == pytest.approx(SCORES[11], abs=1e-6)
    assert found.proposed.min_score <= SCORES[11]
    assert (found.proposed.precision, found.proposed.recall, found.proposed.answered) == (11 / 12, 1.0, 12 / 20)
    assert choose(0.8).proposed.answered == 13 / 20  # 11 of 13 are .846, 11 of 14 .786
    assert choose(0.0).proposed.answered == 19 / 20


def test_what_cannot_be_reached_is_not_proposed():
    found = choose(0.99)  # nine of nine would do, but they are fewer than ten
    assert found.proposed is None
    assert found.held_out is None
    assert max(row.precision for row in found.rows) > 0.9


def test_equal_scores_are_cut_together():
    scores = np.array([0.9] * 10 + [0.5] * 10)
    right = np.array([True] * 10 + [True] * 5 + [False] * 5)
    # Half way through the second ten the share would be 1, but a threshold cannot tell them apart.
    assert choose(0.9, scores, right).proposed == Threshold(min_score=0.9, precision=1.0, recall=10 / 15, answered=0.5)


def test_the_table_goes_through_the_scores():
    rows = choose(0.9).rows
    thresholds = [row.min_score for row in rows]
    assert thresholds == sorted(set(thresholds))
    assert 5 <= len(rows) <= 10
    assert [row.answered for row in rows] == sorted((row.answered for row in rows), reverse=True)


def test_held_out_is_measured_on_what_was_not_chosen_on():
    draw = np.random.default_rng(1)
    scores = draw.random(1000)
    right = draw.random(1000) < scores  # calibrated by construction: precision above t is (1 + t) / 2
    found = choose(0.8, scores, right, folds=5)
    assert found.proposed.min_score == pytest.approx(0.6, abs=0.08)
    assert found.held_out.precision == pytest.approx(0.8, abs=0.04)
    assert found.precision.low < found.held_out.precision < found.precision.high
    assert found.held_out.answered == pytest.approx(0.4, abs=0.08)


def test_no_hits_at_all():
    found = choose(0.5, np.full(12, -math.inf), np.zeros(12, np.bool_))
    assert (found.proposed, found.rows, found.relevant) == (None, [], 0)


def test_the_settings_file(tmp_path, monkeypatch):
    lines = settings_lines(choose(0.9), collection="law", queries_file="q.jsonl")
    assert lines.startswith(f"{SETTINGS_HEAD} for the collection 'law', hybrid_rerank\n# 20 queries of q.jsonl")
    (setting,) = [line for line in lines.splitlines() if not line.startswith("#")]
    name, _, value = setting.partition("=")
    monkeypatch.setenv(name, value)
    assert load_settings().rerank_min_score == pytest.approx(SCORES[11], abs=1e-6)
