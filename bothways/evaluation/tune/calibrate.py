"""A threshold from judged queries: the score that a first hit needs to be right as often as wanted.

Each query is searched for once; what counts is whether its first hit is relevant, and what that hit scores. A higher
threshold leaves more questions without an answer, and fewer with a wrong one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bothways.core.batches import batched
from bothways.core.errors import UsageError
from bothways.evaluation.judged.gold import resolve_gold
from bothways.evaluation.judged.leaks import open_judged
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.evaluation.run import BATCH, UNHURRIED_MS
from bothways.evaluation.statistics import SEED, Interval, Values, confidence, require_folds
from bothways.search.options import RERANKED, SearchOptions
from bothways.search.pipeline import Searcher

FEWEST = 10
"""Answers that must stay above a threshold, so that its precision is not chance."""
ROWS = 10

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """What a `min_score` does: how many queries keep a first hit, and how many of these hits are relevant.

    `recall` is the share that it keeps of the first hits that are relevant; `answered` is a share of all queries.
    """

    min_score: float
    precision: float
    recall: float
    answered: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Thresholds with their precision, and the lowest that reaches the one wanted (None: no threshold does).

    `held_out` is cross-validated: each fold is cut by the threshold that was chosen on the others. `precision` is its
    precision with a 95 % interval.
    """

    strategy: str
    queries: int
    relevant: int
    wanted: float
    rows: Sequence[Threshold]
    proposed: Threshold | None
    held_out: Threshold | None
    precision: Interval | None

    @property
    def is_setting(self) -> bool:
        """Whether BOTHWAYS_RERANK_MIN_SCORE can hold the threshold; other scores are set by a request's `min_score`."""
        return self.strategy in RERANKED


def calibrate(
    searcher: Searcher,
    collection: str,
    queries: Sequence[JudgedQuery],
    *,
    options: SearchOptions,
    precision: float = 0.9,
    folds: int = 5,
    allow_leaks: bool = False,
    progress: Callable[[str, int], None] = lambda _task, _of: None,
) -> Calibration:
    """Search for each query and find the threshold for `options.strategy`; `progress` is called for each search.

    Raise `UsageError` for fewer queries than twice the folds, and where a search ran without a part: its scores are
    of another scale. Judged queries that are indexed questions are refused, unless `allow_leaks`.
    """
    require_folds(queries, folds)
    opened = open_judged(searcher.client, collection, queries, allow_leaks=allow_leaks)
    asked = options.replace(top_k=1, min_score=None, rerank_min_score=None, rerank_budget_ms=UNHURRIED_MS)
    scores: list[float] = []
    right: list[bool] = []
    for batch in batched(queries, BATCH):
        gold = resolve_gold(searcher.client, opened, batch)
        for query in batch:
            result = searcher.search(query.text, collection, asked)
            if result.degraded:
                raise UsageError(
                    f"The search for query {query.query_id[:40]!r} ran without {', '.join(result.degraded)}, so its "
                    f"scores are not those of {options.strategy}. --strategy names another; the log says why."
                )
            first = result.hits[0] if result.hits else None
            relevant = {document.doc_id for document in gold[query.query_id] if document.relevance > 0}
            scores.append(first.score if first else -math.inf)
            right.append(first is not None and first.doc_id in relevant)
            progress("searching", len(queries))
    return choose_threshold(np.array(scores), np.array(right), wanted=precision, folds=folds, strategy=options.strategy)


def choose_threshold(scores: Values, right: Flags, *, wanted: float, folds: int, strategy: str) -> Calibration:
    """Find the threshold; `scores` of the first hits (-inf for none) and whether they are relevant, by query.

    It is the lowest threshold for which at least the share `wanted` of the hits above is relevant.
    """
    proposed = _lowest(scores, right, wanted)
    kept, everywhere = _held_out(scores, right, wanted, folds)
    found = scores[np.isfinite(scores)]
    quantiles = np.quantile(found, np.arange(ROWS) / ROWS, method="lower") if len(found) else np.array([])
    rows = [cut(scores, right, threshold) for threshold in sorted({_rounded(value) for value in quantiles})]
    return Calibration(
        strategy=strategy,
        queries=len(scores),
        relevant=int(right.sum()),
        wanted=wanted,
        rows=rows,
        proposed=cut(scores, right, proposed) if proposed is not None else None,
        held_out=_measured(kept, right, math.nan if proposed is None else proposed) if everywhere else None,
        precision=confidence(right[kept].astype(float)) if everywhere and kept.sum() > 1 else None,
    )


def cut(scores: Values, right: Flags, threshold: float) -> Threshold:
    """Return the effect of a threshold on these queries."""
    return _measured(scores >= threshold, right, threshold)


def _measured(kept: Flags, right: Flags, threshold: float) -> Threshold:
    hits, relevant = int(kept.sum()), int(right.sum())
    both = int((kept & right).sum())
    return Threshold(
        min_score=threshold,
        precision=both / hits if hits else 0.0,
        recall=both / relevant if relevant else 0.0,
        answered=hits / max(1, len(right)),
    )


def _lowest(scores: Values, right: Flags, wanted: float) -> float | None:
    """Return the lowest score at which the share of relevant hits above is high enough; None if there is none."""
    order = np.argsort(-scores, kind="stable")
    order = order[np.isfinite(scores[order])]
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    ends = np.append(scores[order][1:] < scores[order][:-1], True)[: len(order)]  # equal scores are cut together
    enough = np.flatnonzero((share >= wanted) & ends & (np.arange(1, len(order) + 1) >= FEWEST))
    return _rounded(float(scores[order[enough[-1]]])) if len(enough) else None


def _held_out(scores: Values, right: Flags, wanted: float, folds: int) -> tuple[Flags, bool]:
    """Return what stays of each fold by the threshold of the others, and whether every fold had a threshold."""
    fold_of = np.random.default_rng(SEED).permutation(np.arange(len(scores)) % folds)
    kept = np.zeros(len(scores), np.bool_)
    everywhere = True
    for fold in range(folds):
        out = fold_of == fold
        threshold = _lowest(scores[~out], right[~out], wanted)
        everywhere &= threshold is not None
        kept[out] = scores[out] >= (math.inf if threshold is None else threshold)
    return kept, everywhere


def _rounded(score: float) -> float:
    """Return six digits after the point, rounded down, so that the hit itself stays above."""
    return math.floor(score * 1e6) / 1e6
