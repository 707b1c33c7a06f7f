"""How likely a hit is looked at, by its rank: what a click, and no click, at that rank is worth.

The position-based model: a user clicks who looks at the rank and chooses the chunk, P(looked at | rank) ·
P(chosen | question, chunk). The two factors can be told apart only where the same chunk was shown for the same question
at several ranks, so that only such pairs are learnt from (Agarwal et al., Estimating Position Bias without Intrusive
Interventions, WSDM 2019), by expectation maximisation (Wang et al., Position Bias Estimation for Unbiased Learning to
Rank in Personal Search, WSDM 2018). What they do not say is left to the fixed curve 1/rank of Joachims, Swaminathan and
Schnabel (Unbiased Learning-to-Rank with Biased Feedback, WSDM 2017), which stands for `PRIOR` impressions of each rank.

Some clicks come by accident, at whatever rank and on whatever chunk. They are measured apart and count in what a click
is worth; the ranks are learnt as if there were none, so that they come out too large rather than too small, and the
relevance of what stands there too small rather than too large.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bothways.learning.judgments.evidence import DEEPEST, Evidence

PRIOR = 100.0
"""Impressions of each rank that the fixed curve counts as."""
FLOOR = 0.1
"""No rank is taken to be looked at more rarely: below, one stray click would weigh more than several real ones."""
DEEP = 0.2
"""The share of impressions, from the last rank up, by which accidental clicks are measured."""
_CHOSEN_PRIOR = 2.0
_ROUNDS = 200
_SETTLED = 1e-5

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Propensities:
    """P(looked at) by rank: `by_rank[0]` is rank 1 and is 1 by convention.

    `impressions` are those of pairs seen at several ranks, which it was learnt from; where there are none, it is the
    fixed curve. `by_accident` is the probability of a click that has nothing to do with the chunk.
    """

    by_rank: tuple[float, ...]
    impressions: tuple[int, ...]
    by_accident: float = 0.0

    def at(self, rank: int) -> float:
        """Return P(looked at) of a rank, clipped from below."""
        return max(self.by_rank[min(rank, DEEPEST) - 1], FLOOR)

    @property
    def is_learnt(self) -> bool:
        """Return whether the data outweigh the fixed curve at any rank below the first."""
        return any(seen > PRIOR for seen in self.impressions[1:])


def fixed_curve() -> Floats:
    """Return 1/rank for the ranks that are told apart."""
    curve: Floats = 1.0 / np.arange(1, DEEPEST + 1)
    return curve


def accidental(evidence: Iterable[Evidence]) -> float:
    """Return the click rate of the last ranks, which have a fifth of the impressions below the first rank.

    Few users look there, so that it is hardly more than accidents. Where many do, it is too high, which makes
    judgments fewer and none wrong.
    """
    seen, clicked = Counter[int](), Counter[int]()
    for item in evidence:
        seen.update(item.seen)
        clicked.update(item.clicked)
    wanted = DEEP * (seen.total() - seen[1])
    shown = times = 0
    for rank in sorted(seen.keys() - {1}, reverse=True):
        shown, times = shown + seen[rank], times + clicked[rank]
        if shown >= wanted:
            break
    return min(times / shown, 0.5) if shown else 0.0


def estimate(evidence: Collection[Evidence]) -> Propensities:
    """Estimate the propensities from all pairs that were seen at several ranks, and accidents from all."""
    by_accident = accidental(evidence)
    pairs = [item for item in evidence if len(item.seen) > 1]
    cells = [(pair, rank, item.seen[rank], item.clicked[rank]) for pair, item in enumerate(pairs) for rank in item.seen]
    curve = fixed_curve()
    if not cells:
        return Propensities(tuple(curve.tolist()), (0,) * DEEPEST, by_accident)
    pair, rank, seen, clicked = (np.array(column) for column in zip(*cells, strict=True))
    rank = rank - 1
    looked = _maximise(pair, rank, seen.astype(float), clicked.astype(float), curve)
    impressions = np.bincount(rank, weights=seen, minlength=DEEPEST).astype(int)
    return Propensities(tuple(looked.tolist()), tuple(impressions.tolist()), by_accident)


def _maximise(
    pair: npt.NDArray[np.int64], rank: npt.NDArray[np.int64], seen: Floats, clicked: Floats, curve: Floats
) -> Floats:
    """Run expectation maximisation over cells (a pair at a rank) until nothing moves; returns P(looked at) by rank.

    Both factors have a beta prior, so that sparse pairs and ranks stay near what is usual.
    """
    pairs = int(pair.max()) + 1
    usual = min(clicked.sum() / (seen * curve[rank]).sum(), 0.9)
    shown = np.bincount(rank, weights=seen, minlength=DEEPEST)
    of_pair = np.bincount(pair, weights=seen, minlength=pairs)
    looked, chosen = curve.copy(), np.full(pairs, max(usual, 0.01))
    for _ in range(_ROUNDS):
        at, of = looked[rank], chosen[pair]
        # A hit that was not clicked was not looked at, or was looked at and not chosen: shared out by likelihood.
        each = (seen - clicked) / (1 - at * of)
        was_looked_at = clicked + each * at * (1 - of)
        would_be_chosen = clicked + each * of * (1 - at)
        before = looked
        sums = np.bincount(rank, weights=was_looked_at, minlength=DEEPEST)
        looked = (sums + PRIOR * curve) / (shown + PRIOR)
        looked[0] = 1.0
        sums = np.bincount(pair, weights=would_be_chosen, minlength=pairs)
        chosen = (sums + _CHOSEN_PRIOR * usual) / (of_pair + _CHOSEN_PRIOR)
        # Neither may reach 1 off the first rank: a click that did not come would be impossible.
        chosen = np.clip(chosen, 1e-6, 1 - 1e-6)
        if np.abs(looked - before).max() < _SETTLED:
            break
    return looked


def relevance_by_propensity(item: Evidence, propensities: Propensities) -> float:
    """Estimate P(chosen | looked at) by inverse propensities: unbiased up to the clipping, and noisy.

    Each click weighs 1 / P(looked at) (Joachims et al. 2017, section 4), less the accidents to be expected (Vardasbi,
    Oosterhuis and de Rijke, When Inverse Propensity Scoring does not Work, CIKM 2020).
    """
    by_accident = propensities.by_accident
    total = sum(
        (item.clicked[rank] - by_accident * seen) / (propensities.at(rank) * (1 - by_accident))
        for rank, seen in item.seen.items()
    )
    return max(total / item.seen.total(), 0.0) if item.seen else 0.0


def as_table(propensities: Propensities) -> list[Mapping[str, float]]:
    """Return the propensities as rows for a report, down to the last rank that was seen."""
    last = max((rank for rank, seen in enumerate(propensities.impressions, 1) if seen), default=10)
    return [
        {"rank": rank, "looked_at": round(propensities.by_rank[rank - 1], 4), "learnt_from": seen}
        for rank, seen in enumerate(propensities.impressions[:last], 1)
    ]
