"""Logits to probabilities: the scale and offset that make sigmoid(logit) the share of pairs that are answers.

A loss over groups fixes how logits of one question differ, not what they are worth: their sigmoid says nothing until
it is fitted (Platt, Probabilistic Outputs for Support Vector Machines, 1999). Scale and offset go into the model's
head, so that whatever reads it (blending with the first stage, a threshold) has calibrated scores, in the same order.

Answers and others weigh the same: how many others a group has was the miner's choice, and scores that are nearly all
near 0 leave the blend nothing to tell passages apart by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_FEW = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """sigmoid(scale · logit + offset) is a probability where half of the pairs are answers.

    `before` and `after`: mean log loss in nats of `pairs`, answers and others weighing the same.
    """

    scale: float
    offset: float
    pairs: int
    before: float
    after: float


def fit(logits: Sequence[float], answers: Sequence[bool]) -> Calibration | None:
    """Fit scale and offset by maximum likelihood, with Platt's targets against certainty from few pairs.

    None where nothing can be fitted: one kind of pair alone, or logits that do not rise with the answers.
    """
    x, is_answer = np.asarray(logits, float), np.asarray(answers, bool)
    positives, negatives = int(is_answer.sum()), int((~is_answer).sum())
    if not positives or not negatives:
        return None
    targets = np.where(is_answer, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    # Newton's method on two numbers; logits are standardised, so that steps are of one size.
    mean, spread = float(x.mean()), float(x.std()) or 1.0
    rows = np.stack([(x - mean) / spread, np.ones_like(x)], axis=1)
    weights = np.where(is_answer, len(x) / (2 * positives), len(x) / (2 * negatives))
    found = np.zeros(2)
    for _ in range(100):
        chances = _sigmoid(rows @ found)
        gradient = rows.T @ (weights * (targets - chances))
        curvature = (rows * (weights * chances * (1 - chances))[:, None]).T @ rows + _FEW * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        found = found + step / max(1.0, float(np.abs(step).max()))  # far from the end a whole step can overshoot
        if float(np.abs(step).max()) < 1e-9:  # as good as zero
            break
    scale, offset = float(found[0] / spread), float(found[1] - found[0] * mean / spread)
    if scale <= 0:
        return None
    before, after = (
        float(np.average(np.logaddexp(0.0, np.where(is_answer, -logit, logit)), weights=weights))
        for logit in (x, scale * x + offset)
    )
    return Calibration(scale=scale, offset=offset, pairs=len(x), before=before, after=after)


def _sigmoid(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)))
