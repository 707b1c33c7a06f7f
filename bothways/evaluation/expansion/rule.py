"""A rule for when to expand, learnt from measured gains of expansions.

A call is worth it where the reward is above `price`, what a call must bring in nDCG. So each query is an example for or
against, weighted by what is won or lost (cost-sensitive classification: Zadrozny, Langford, Abe, ICDM 2003), and four
kinds of rules are tried: never, always, one bound on the gap between the first hits, and a logistic regression of all
signs with an L2 penalty. Of those whose cross-validated net gain is within one standard error of the best, the
simplest is taken (Breiman et al., Classification and Regression Trees, 1984), and `never` within two. What is reported
is nested: each fold is decided by a rule that was fitted *and chosen* on the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bothways.core.errors import UsageError
from bothways.evaluation.expansion.rewards import Example
from bothways.evaluation.statistics import SEED, Values
from bothways.search.query.when_to_rewrite import SIGNS, WEAK, WEAK_DENSE, ExpansionRule, Kind, Term

Flags = npt.NDArray[np.bool_]
FOLDS = 5
PENALTIES = (100.0, 10.0, 1.0)
"""L2 penalties that are tried, the simplest first, for weights of mean 1."""
_MOST_STEPS = 50
_CLOSE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where rules are learnt: what they are learnt with, and what a call must bring."""

    strategy: str
    embedding_model: str
    with_bm25: bool
    price: float = 0.01


Fit = Callable[[Sequence[Example], Frame], ExpansionRule]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A rule fitted on all examples, and what of the candidates was asked, each held out: `{name: flags}`.

    `chosen` of these flags is nested; `net` is each candidate's cross-validated gain less the price of its calls.
    """

    rule: ExpansionRule
    name: str
    net: Mapping[str, float]
    held_out: Mapping[str, Flags]
    chosen: Flags


def choose(examples: Sequence[Example], frame: Frame, *, folds: int = FOLDS) -> Choice:
    """Fit all kinds of rules, choose one, and tell what each decides where it was not fitted.

    Raise `UsageError` for fewer examples than twice the folds.
    """
    if len(examples) < 2 * folds:
        raise UsageError(f"{len(examples)} queries are too few to learn a rule from in {folds} folds.")
    candidates = _candidates()
    held_out = {name: _held_out(examples, frame, fit, folds) for name, fit in candidates.items()}
    worth = np.array([one.mean for one in examples]) - frame.price
    name = _simplest(held_out, worth)
    nested = np.zeros(len(examples), np.bool_)
    for rest, out in _splits(len(examples), folds):
        inside = [examples[at] for at in rest]
        inner = {each: _held_out(inside, frame, fit, folds) for each, fit in candidates.items()}
        rule = candidates[_simplest(inner, worth[rest])](inside, frame)
        nested[out] = asked(rule, [examples[at] for at in out])
    net = {each: float((worth * flags).mean()) for each, flags in held_out.items()}
    return Choice(rule=candidates[name](examples, frame), name=name, net=net, held_out=held_out, chosen=nested)


def asked(rule: ExpansionRule, examples: Sequence[Example]) -> Flags:
    """Tell for which queries a rule asks; where it cannot tell, what is in use decides, as in a search."""
    flags = []
    for one in examples:
        score = rule.score(one.first.signs)
        flags.append(one.first.may_ask and (one.first.in_use if score is None else score > 0))
    return np.array(flags, np.bool_)


def never(_: Sequence[Example], frame: Frame) -> ExpansionRule:
    """Ask for no query."""
    return _rule("never", -1.0, {}, frame)


def always(_: Sequence[Example], frame: Frame) -> ExpansionRule:
    """Ask for every query."""
    return _rule("always", 1.0, {}, frame)


def built_in(_: Sequence[Example], frame: Frame) -> ExpansionRule:
    """Ask below the bound that is built in."""
    return _rule("gap", WEAK if frame.with_bm25 else WEAK_DENSE, {"gap_10": Term(-1.0)}, frame)


def gap(examples: Sequence[Example], frame: Frame) -> ExpansionRule:
    """Ask below the bound on the gap that brings most on these examples; `never` where none brings anything."""
    known = [one for one in examples if one.first.may_ask and "gap_10" in one.first.signs]
    gaps = np.array([one.first.signs["gap_10"] for one in known])
    order = np.argsort(gaps, kind="stable")
    gaps, worth = gaps[order], np.array([one.mean - frame.price for one in known])[order]
    total = np.cumsum(worth)
    total[:-1][gaps[1:] == gaps[:-1]] = -math.inf  # equal gaps are on one side of a bound
    if not len(known) or total.max() <= 0:
        return never(examples, frame)
    last = int(total.argmax())
    after = gaps[last + 1] if last + 1 < len(gaps) else gaps[last] + 1e-6
    return _rule("gap", float((gaps[last] + after) / 2), {"gap_10": Term(-1.0)}, frame)


def logistic(penalty: float) -> Fit:
    """Return the fit of a logistic regression with that penalty; `never` or `always` where all speak for one side."""

    def fit(examples: Sequence[Example], frame: Frame) -> ExpansionRule:
        allowed = [one for one in examples if one.first.may_ask]
        names = [name for name in SIGNS if sum(name in one.first.signs for one in allowed) > 0.9 * len(allowed)]
        known = [one for one in allowed if all(name in one.first.signs for name in names)]
        worth = np.array([one.mean - frame.price for one in known])
        if not names or not (worth > 0).any():
            return never(examples, frame)
        if not (worth < 0).any():
            return always(examples, frame)
        signs = np.array([[one.first.signs[name] for name in names] for one in known])
        mean, scale = signs.mean(axis=0), signs.std(axis=0)
        scale[scale < 1e-9] = 1.0
        weights = np.abs(worth) / np.abs(worth).mean()
        found = logistic_regression((signs - mean) / scale, worth > 0, weights, penalty)
        terms = {
            name: Term(float(weight), float(m), float(s))
            for name, weight, m, s in zip(names, found[1:], mean, scale, strict=True)
        }
        return _rule("logistic", float(found[0]), terms, frame)

    return fit


def logistic_regression(x: Values, positive: Flags, weights: Values, penalty: float) -> Values:
    """Return intercept and weights, shape (1 + signs,), that minimise weighted log-loss + penalty / 2 · |weights|².

    `x` has shape (examples, signs). The intercept is not penalised. By Newton's method, steps halved until they help;
    sums are numpy's own, since BLAS threads wait longer for each other on a busy machine than they compute.
    """
    sign = np.where(positive, 1.0, -1.0)
    rows = np.hstack([np.ones((len(x), 1)), x])
    ridge = np.full(rows.shape[1], penalty)
    ridge[0] = 0.0

    def loss(beta: Values) -> float:
        margin = sign * np.einsum("ni,i->n", rows, beta)
        return float((weights * np.logaddexp(0, -margin)).sum() + (ridge * beta * beta).sum() / 2)

    beta = np.zeros(rows.shape[1])
    for _ in range(_MOST_STEPS):
        wrong = np.exp(-np.logaddexp(0, sign * np.einsum("ni,i->n", rows, beta)))  # 1 - P(its own side)
        slope = ridge * beta - np.einsum("ni,n->i", rows, weights * sign * wrong)
        bend = np.einsum("ni,n,nj->ij", rows, weights * wrong * (1 - wrong), rows) + np.diag(ridge + 1e-9)
        step, before = np.linalg.solve(bend, slope), loss(beta)
        while loss(beta - step) > before and np.abs(step).max() > _CLOSE:
            step = step / 2
        beta = beta - step
        if np.abs(step).max() <= _CLOSE:
            break
    return beta


def _candidates() -> dict[str, Fit]:
    """Return the rules that are tried, by name, the simplest first."""
    regressions = {f"logistic, penalty {penalty:g}": logistic(penalty) for penalty in PENALTIES}
    return {"never": never, "always": always, "built-in": built_in, "gap": gap, **regressions}


def _rule(kind: Kind, intercept: float, terms: Mapping[str, Term], frame: Frame) -> ExpansionRule:
    return ExpansionRule(
        kind=kind, intercept=intercept, terms=terms, strategy=frame.strategy, embedding_model=frame.embedding_model
    )


def _simplest(flags: Mapping[str, Flags], worth: Values) -> str:
    """Name the first candidate whose net gain is within one standard error of the best one's.

    For `never` it is two: a call of a language model must be clearly worth its price.
    """
    net = {name: worth * decided for name, decided in flags.items()}
    best = max(net, key=lambda name: float(net[name].mean()))
    for name, values in net.items():
        behind = net[best] - values
        errors = 2 if name == "never" else 1
        if behind.mean() <= errors * behind.std(ddof=1) / math.sqrt(len(behind)):
            return name
    return best


def _held_out(examples: Sequence[Example], frame: Frame, fit: Fit, folds: int) -> Flags:
    flags = np.zeros(len(examples), np.bool_)
    for rest, out in _splits(len(examples), folds):
        flags[out] = asked(fit([examples[at] for at in rest], frame), [examples[at] for at in out])
    return flags


def _splits(number: int, folds: int) -> list[tuple[list[int], list[int]]]:
    """Return the places of each fold's other examples and of its own, drawn with a fixed seed."""
    fold_of = np.random.default_rng(SEED).permutation(np.arange(number) % folds)
    return [
        (np.flatnonzero(fold_of != fold).tolist(), np.flatnonzero(fold_of == fold).tolist()) for fold in range(folds)
    ]
