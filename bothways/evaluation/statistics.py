"""Whether a difference is more than chance: confidence intervals, and the paired randomisation test with correction.

Values come in as one number a query, in the same order of queries for both sides. Every result is the same in every
run: the random numbers are seeded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bothways.core.errors import UsageError

Values = npt.NDArray[np.float64]
"""One value a query, shape (queries,)."""

SEED = 20_251_121
RESAMPLES = 9_999
_NUMBERS_AT_ONCE = 500_000
"""Resampled values held in memory at once."""
RESAMPLED_UP_TO = 2_000
"""Queries up to which values are resampled; means of more are normal, and the t-test says the same at once."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % confidence interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One side against a baseline on the same queries, by one measure.

    `difference` is the mean of (side - baseline) with its 95 % interval. `p` is the two-sided p-value of the paired
    test (`randomisation`, or `t` for many queries), `p_adjusted` the same after Holm's correction for all comparisons
    made together.
    """

    name: str
    baseline: str
    measure: str
    difference: Interval
    better: int
    worse: int
    equal: int
    test: str
    p: float
    p_adjusted: float

    @property
    def significant(self) -> bool:
        """Whether chance alone would bring such a difference in fewer than one of twenty such tables."""
        return self.p_adjusted < 0.05


def require_folds(queries: Sized, folds: int) -> None:
    """Raise `UsageError` if there are fewer queries than twice the folds of a cross-validation."""
    if len(queries) < 2 * folds:
        raise UsageError(f"{len(queries)} queries are too few to choose by in {folds} folds.")


def confidence(values: Values) -> Interval:
    """Return the mean with its 95 % interval by the percentile bootstrap over queries, of many by the normal one."""
    mean = float(values.mean()) if len(values) else 0.0
    if len(values) < 2 or np.all(values == values[0]):
        return Interval(mean, mean, mean)
    if len(values) > RESAMPLED_UP_TO:
        reach = 1.96 * float(values.std(ddof=1)) / math.sqrt(len(values))
        return Interval(mean, mean - reach, mean + reach)
    from scipy import stats  # a second, which only an evaluation should pay

    found = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=RESAMPLES // 5, batch=_batch(values), rng=_rng()
    )
    return Interval(mean, float(found.confidence_interval.low), float(found.confidence_interval.high))


def paired_test(differences: Values) -> tuple[str, float]:
    """Return the two-sided p-value that paired differences have a mean of 0, after the name of the test.

    `randomisation` flips their signs at random (all patterns for few queries); for many queries `t` does as well.
    Smucker, Allan, Carterette: A Comparison of Statistical Significance Tests for Information Retrieval Evaluation,
    CIKM 2007.
    """
    if not np.any(differences):
        return "randomisation", 1.0
    if len(differences) > RESAMPLED_UP_TO:
        from scipy import stats  # a second, which only an evaluation should pay

        return "t", float(stats.ttest_1samp(differences, 0.0).pvalue)
    return "randomisation", _randomisation(differences)


def _randomisation(differences: Values) -> float:
    from scipy import stats  # see above

    found = stats.permutation_test(
        (differences,),
        lambda sample, axis: np.mean(sample, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=_batch(differences),
        rng=_rng(),
    )
    return float(found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values of tests that were made together; in the order given. Holm 1979."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, at in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[at]))
        adjusted[at] = highest
    return adjusted


def compare(sides: Mapping[str, tuple[Values, Values]], *, baseline: str, measure: str) -> list[Comparison]:
    """Compare each side with its baseline, `{name: (values, baseline's values)}`, and correct for their number."""
    differences = {name: mine - base for name, (mine, base) in sides.items()}
    tests = [paired_test(difference) for difference in differences.values()]
    adjusted = holm([p for _, p in tests])
    return [
        Comparison(
            name=name,
            baseline=baseline,
            measure=measure,
            difference=confidence(difference),
            better=int((difference > 0).sum()),
            worse=int((difference < 0).sum()),
            equal=int((difference == 0).sum()),
            test=test,
            p=p,
            p_adjusted=corrected,
        )
        for (name, difference), (test, p), corrected in zip(differences.items(), tests, adjusted, strict=True)
    ]


def _batch(values: Values) -> int:
    return max(1, _NUMBERS_AT_ONCE // len(values))


def _rng() -> np.random.Generator:
    return np.random.default_rng(SEED)
