"""From evidence to judgments: which chunks answer a question for certain, which certainly do not, and why so.

Most pairs are neither, and are left with their reason. P(chosen | looked at) has a posterior under the position-based
model: a click counts as far as it is no accident, a hit that was not clicked as far as its rank is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field

from bothways.learning.arguments import Arguments
from bothways.learning.judgments.evidence import HIGH, VOTE, Evidence, Ledger
from bothways.learning.judgments.propensity import Floats, Propensities, estimate, relevance_by_propensity

Verdict = Literal["positive", "negative", "undecided"]

_GRID: Floats = (np.arange(400) + 0.5) / 400
"""P(chosen | looked at), as midpoints of equal steps: one dimension needs no sampling."""


class JudgmentThresholds(Arguments):
    """What makes a judgment. Evidence must come from several hours: one busy hour of one client is not enough."""

    evidence: int = Field(default=5, ge=1, description="clicks, or times passed over, that are needed; a vote is 3")
    hours: int = Field(default=3, ge=1, description="different hours that they come from")
    credible: float = Field(default=0.9, ge=0.5, le=0.999, description="mass of the credible interval")
    positive: float = Field(default=0.5, ge=0, le=1, description="least lower end of an answer's interval")
    negative: float = Field(default=0.4, ge=0, le=1, description="largest upper end of a non-answer's interval")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgment:
    """One chunk as an answer to one question.

    `text` is the question as it was typed most often, None where only its hash is kept. `relevance` is the posterior
    mean of P(chosen | looked at), `low` and `high` its credible interval, `ips` the plain inverse-propensity estimate,
    which may exceed 1. `searches` are those that showed it and were reacted to. `by_questions` is the share of them in
    which the chunk's questions brought it, `missed` in which they were not found at all; None where none looked at
    questions.
    """

    query: str
    text: str | None
    chunk_id: str
    doc_id: str
    verdict: Verdict
    reason: str
    relevance: float
    low: float
    high: float
    ips: float
    searches: int
    clicks: int
    passed_over: int
    ups: int
    downs: int
    mean_rank: float | None
    by_questions: float | None = None
    missed: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return its fields, numbers rounded."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class JudgedPairs:
    """All pairs with their verdicts, by question and then by relevance, best first; and what ranks were worth."""

    judgments: Sequence[Judgment]
    propensities: Propensities

    def having(self, verdict: Verdict) -> list[Judgment]:
        """Return those of one verdict."""
        return [judgment for judgment in self.judgments if judgment.verdict == verdict]


def judge(
    ledger: Ledger, thresholds: JudgmentThresholds | None = None, propensities: Propensities | None = None
) -> JudgedPairs:
    """Judge all pairs of a ledger; `propensities` are estimated from it unless they are given."""
    thresholds = thresholds or JudgmentThresholds()
    propensities = propensities or estimate(ledger.evidence.values())
    prior = _usual(ledger.evidence.values(), propensities)
    found = {
        pair: _summed_up(posterior(evidence, propensities, prior), thresholds)
        for pair, evidence in ledger.evidence.items()
    }
    best = _best_two((query, low) for (query, _), (_, low, _) in found.items())
    judgments = []
    for (query, chunk_id), evidence in ledger.evidence.items():
        relevance, low, high = found[query, chunk_id]
        rival = best[query][low == best[query][0]]
        verdict, reason = _verdict(evidence, low, rival, thresholds)
        shown = evidence.seen.total()
        judgments.append(
            Judgment(
                query=query,
                text=_as_typed(ledger, query),
                chunk_id=chunk_id,
                doc_id=evidence.doc_id,
                verdict=verdict,
                reason=reason,
                relevance=relevance,
                low=low,
                high=high,
                ips=relevance_by_propensity(evidence, propensities),
                searches=evidence.searches,
                clicks=evidence.clicked.total(),
                passed_over=evidence.passed_over,
                ups=evidence.ups,
                downs=evidence.downs,
                mean_rank=sum(rank * times for rank, times in evidence.seen.items()) / shown if shown else None,
                by_questions=evidence.attracted / evidence.asked if evidence.asked else None,
                missed=evidence.missed / evidence.asked if evidence.asked else None,
            )
        )
    judgments.sort(key=lambda judgment: (judgment.query, -judgment.relevance, judgment.chunk_id))
    return JudgedPairs(judgments, propensities)


def posterior(evidence: Evidence, propensities: Propensities, prior: tuple[float, float]) -> Floats:
    """Return the weight of each point of the grid: the posterior of P(chosen | looked at), summing up to 1.

    `prior` are the two parameters of a beta distribution.
    """
    for_it, against_it = prior
    log_weight = (for_it - 1 + VOTE * evidence.ups) * np.log(_GRID)
    log_weight += (against_it - 1 + VOTE * evidence.downs) * np.log1p(-_GRID)
    for rank, seen in evidence.seen.items():
        not_chosen = 1 - propensities.at(rank) * _GRID
        log_weight += evidence.clicked[rank] * np.log1p(-(1 - propensities.by_accident) * not_chosen)
        log_weight += (seen - evidence.clicked[rank]) * np.log(not_chosen)
    return _normal(log_weight)


def _normal(log_weight: Floats) -> Floats:
    weight: Floats = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    return weight


def _interval(weight: Floats, credible: float) -> tuple[float, float]:
    """Return the ends of the central interval of that mass."""
    tail = (1 - credible) / 2
    ends = np.searchsorted(weight.cumsum(), [tail, 1 - tail]).clip(max=len(_GRID) - 1)
    return float(_GRID[ends[0]]), float(_GRID[ends[1]])


def _summed_up(weight: Floats, thresholds: JudgmentThresholds) -> tuple[float, float, float]:
    """Return mean and interval of a posterior: kept for each pair, a grid would take thousands of bytes."""
    return float(weight @ _GRID), *_interval(weight, thresholds.credible)


def _best_two(lower_ends: Iterable[tuple[str, float]]) -> dict[str, tuple[float, float]]:
    """Return the two highest lower ends of each question: the best of the others is the first, or the second."""
    best: dict[str, tuple[float, float]] = {}
    for query, low in lower_ends:
        first, second = best.get(query, (0.0, 0.0))
        best[query] = (low, first) if low > first else (first, max(second, low))
    return best


def _verdict(evidence: Evidence, low: float, rival: float, thresholds: JudgmentThresholds) -> tuple[Verdict, str]:
    """Return the verdict on a pair and its reason. `rival` is the lower end of the best other chunk of the question."""
    for_it, against_it = evidence.speaks_for, evidence.speaks_against
    if max(for_it, against_it) < thresholds.evidence:
        return "undecided", f"little evidence: {for_it} for it, {against_it} against it, {thresholds.evidence} wanted"
    # Of those who looked at it for certain: a beta distribution, on the same grid. It needs no propensities.
    log_weight = for_it * np.log(_GRID) + against_it * np.log1p(-_GRID)
    least, most = _interval(_normal(log_weight), thresholds.credible)
    if for_it > against_it:
        if len(evidence.hours_for) < thresholds.hours:
            return "undecided", f"few hours: all of it from {len(evidence.hours_for)}, {thresholds.hours} wanted"
        if low < thresholds.positive:
            return (
                "undecided",
                f"uncertain: chosen with a probability of {low:.2f} or more, {thresholds.positive:.2f} needed",
            )
        if least < thresholds.positive:
            return "undecided", f"contested: {for_it} for it, {against_it} against it"
        return "positive", f"{for_it} for it, {against_it} against it; chosen with a probability of {low:.2f} or more"
    if most > thresholds.negative:
        return "undecided", f"contested: {for_it} for it, {against_it} against it"
    if evidence.speaks_against_high < thresholds.evidence:
        return (
            "undecided",
            f"little evidence high up: {evidence.speaks_against_high} of {against_it} in the first {HIGH} ranks",
        )
    if rival < most:
        return "undecided", "nothing better: no other chunk of the question is certainly chosen more often"
    if len(evidence.hours_against) < thresholds.hours:
        return "undecided", f"few hours: all of it from {len(evidence.hours_against)}, {thresholds.hours} wanted"
    return (
        "negative",
        f"passed over {against_it} times, chosen {for_it} times: of those who look, {most:.2f} at most do",
    )


def _usual(evidence: Iterable[Evidence], propensities: Propensities) -> tuple[float, float]:
    """Return the prior: a beta distribution of the weight of two looks, with this collection's mean."""
    looks = clicks = 0.0
    for item in evidence:
        looks += sum(propensities.at(rank) * seen for rank, seen in item.seen.items())
        clicks += item.clicked.total()
    usual = min(max(clicks / looks if looks else 0.5, 0.05), 0.95)
    return 2 * usual, 2 * (1 - usual)


def _as_typed(ledger: Ledger, query: str) -> str | None:
    """Return the words in which a question was typed most often, None where only its hash is kept."""
    return min(ledger.texts[query].items(), key=lambda item: (-item[1], item[0]), default=(None, 0))[0]
