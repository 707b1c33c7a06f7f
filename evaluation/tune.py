"""The fusion's parameters, chosen on judged queries: every leg is asked once, then all combinations are tried offline.

A plain grid and not a sampler: the rankings of the legs are kept, so that a combination costs no search, and the same
grid gives the same answer in every run. What is reported is the cross-validated value: each fifth of the queries is
measured with the combination that was best on the other four, so that luck in choosing is not counted as skill.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice, product
from typing import Any

import numpy as np

from core.collection import Collection, open_collection
from core.datatypes import Hit, Leg, Strategy
from core.errors import UsageError
from evaluation.build import by_document
from evaluation.gold import relevance_of, resolve_gold
from evaluation.leaks import find_leaks, refuse_leaks
from evaluation.measures import evaluate, measures_of, require_measure
from evaluation.qrels import Qrels
from evaluation.queries import JudgedQuery
from evaluation.run import BATCH
from evaluation.statistics import SEED, Comparison, Interval, Values, compare, confidence
from evaluation.tune_rerank import Logits
from search.options import RERANKED, SearchOptions
from search.pipeline import Searcher, fuse

GRIDS: Mapping[str, tuple[str, tuple[float, ...]]] = {
    "rrf.weights": ("weight_bm25", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)),
    "dense.questions": ("weight_questions", (0.0, 0.25, 0.4, 0.5, 0.6, 0.75, 1.0)),
    "rank_constant": ("rank_constant", (5, 10, 20, 40, 60, 100)),
    "k": ("leg_k", (10, 20, 30, 50, 100)),
    "num_candidates": ("num_candidates", (50, 100, 200, 400)),
    "rerank.alpha": ("rerank_alpha", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
}
"""What can be tuned: the field of the settings behind a name, and the values that are tried.

`rrf.weights` is the weight of the BM25 ranking where the dense one weighs 1 (only their ratio matters). With
`rerank.alpha` it is `hybrid_rerank` that is tuned, else `hybrid`.
"""
SHARES = frozenset({"dense.questions", "rerank.alpha"})
MOST = 5000
"""Combinations in one grid; a larger one is refused."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination: the settings' fields with their values, and what each query scores with them."""

    fields: Mapping[str, float]
    values: Values


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a search for parameters found.

    `held_out` is the cross-validated mean of choosing on this grid, `gain` compares it with the fields in use now,
    query by query. `best` is the combination for all queries; its own mean (`best_mean`) flatters. `legs` are the
    means of the single legs on the same queries. `trials` are all combinations with their means, best first.
    """

    measure: str
    queries: int
    folds: int
    current: Mapping[str, float]
    current_mean: float
    best: Mapping[str, float]
    best_mean: float
    held_out: Interval
    gain: Comparison
    legs: Mapping[str, float]
    trials: Sequence[tuple[Mapping[str, float], float]]

    @property
    def improves(self) -> bool:
        """Whether the held-out value is higher than what the fields in use give."""
        return self.gain.difference.mean > 0

    def as_dict(self) -> dict[str, Any]:
        """Give all of it as JSON has it."""
        return asdict(self)


def make_grid(
    names: Sequence[str], options: SearchOptions, chosen: Mapping[str, Sequence[float]] | None = None
) -> list[dict[str, float]]:
    """List the combinations to try; the fields in use come first. `chosen` replaces the values of a parameter.

    Combinations in which a leg would bring more hits than it has candidates are left out.
    """
    unknown = [name for name in [*names, *(chosen or {})] if name not in GRIDS]
    if unknown or not names:
        told = f"There is no parameter {unknown[0][:40]!r}" if unknown else "No parameter is named"
        raise UsageError(f"{told}; there are: {', '.join(GRIDS)}.")
    axes: dict[str, list[float]] = {}
    for name in names:
        field, values = GRIDS[name]
        now = getattr(options, field)
        axes[field] = list(dict.fromkeys([now, *(_of_type(now, v, name) for v in (chosen or {}).get(name, values))]))
    size = int(np.prod([len(values) for values in axes.values()]))
    if size > MOST:
        raise UsageError(f"The grid has {size} combinations, {MOST} are the most: name fewer parameters or values.")
    combinations = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    return [c for c in combinations if _leg_k(c, options) <= c.get("num_candidates", options.num_candidates)] or [
        combinations[0]
    ]


def tune(
    searcher: Searcher,
    collection: str,
    queries: Sequence[JudgedQuery],
    grid: Sequence[Mapping[str, float]],
    *,
    options: SearchOptions,
    measure: str = "ndcg@10",
    folds: int = 5,
    allow_leaks: bool = False,
    progress: Callable[[str, int], None] = lambda _task, _of: None,
) -> Tuning:
    """Try all combinations of a grid on `hybrid` or `hybrid_rerank`; `progress` hears of searches and combinations.

    Raises `UsageError` for fewer queries than twice the folds: there would be nothing to choose on. Judged queries that
    are indexed questions are refused as in an evaluation, unless `allow_leaks`.
    """
    if len(queries) < 2 * folds:
        raise UsageError(f"{len(queries)} queries are too few to choose by in {folds} folds.")
    depth = int(found.group(1)) if (found := re.search(r"@(\d+)$", measure)) else 10
    require_measure(measure, [depth])
    opened = open_collection(searcher.client, collection)
    if not allow_leaks:
        refuse_leaks(find_leaks(searcher.client, opened, queries))
    qrels = _qrels(searcher, opened, queries)
    logits = Logits(searcher.reranker(), queries, progress) if "rerank_alpha" in grid[0] else None
    score = _Scorer(qrels, measure, depth, logits)
    trials: list[Trial] = []
    leg_means: dict[str, float] = {}
    for candidates, group in _by_candidates(grid, options).items():
        most = max(_leg_k(fields, options) for fields in group)
        asked = replace(options, strategy="hybrid", leg_k=most, top_k=most, num_candidates=candidates)
        legs = _ask_all(searcher, collection, queries, asked, progress, logits)
        for fields in group:
            trials.append(Trial(fields, score(legs, _with(options, fields))))
            progress("trying", len(grid))
        if not leg_means:
            singles: tuple[Strategy, ...] = ("bm25", "dense", "questions")
            leg_means = {name: float(score(legs, replace(options, strategy=name)).mean()) for name in singles}
    return _choose(trials, grid[0], leg_means, measure, folds)


def settings_lines(tuning: Tuning, *, collection: str, queries_file: str) -> str:
    """Write the best combination as lines for a `.env` file, with where it comes from."""
    gain = tuning.gain
    comment = [
        f"{SETTINGS_HEAD} for the collection {collection!r}",
        f"# {tuning.queries} queries of {queries_file}, {tuning.folds} folds",
        f"# {tuning.measure} held out {tuning.held_out.mean:.4f}, before {tuning.current_mean:.4f} (p {gain.p:.4f})",
    ]
    fields = [f"BOTHWAYS_{field.upper()}={value:g}" for field, value in tuning.best.items()]
    if "weight_bm25" in tuning.best:
        fields.append("BOTHWAYS_WEIGHT_DENSE=1")
    return "\n".join([*comment, *fields]) + "\n"


SETTINGS_HEAD = "# Chosen by `bothways eval tune`"


def _of_type(now: float, value: float, name: str) -> float:
    if isinstance(now, int):
        if value != int(value) or value < 1:
            raise UsageError(f"{name} wants whole numbers from 1 on, not {value:g}.")
        return int(value)
    if value < 0 or (name in SHARES and value > 1):
        raise UsageError(f"{name} wants numbers from 0 {'to 1' if name in SHARES else 'on'}, not {value:g}.")
    return float(value)


def _leg_k(fields: Mapping[str, float], options: SearchOptions) -> int:
    return int(fields.get("leg_k", options.leg_k))


def _with(options: SearchOptions, fields: Mapping[str, float]) -> SearchOptions:
    dense = {"weight_dense": 1.0} if "weight_bm25" in fields else {}
    strategy = "hybrid_rerank" if "rerank_alpha" in fields else "hybrid"
    return replace(options, **{"strategy": strategy, **dense, **fields})  # type: ignore[arg-type]


def _by_candidates(grid: Sequence[Mapping[str, float]], options: SearchOptions) -> dict[int, list[Mapping[str, float]]]:
    groups: dict[int, list[Mapping[str, float]]] = {}
    for fields in grid:
        groups.setdefault(int(fields.get("num_candidates", options.num_candidates)), []).append(fields)
    return groups


def _qrels(searcher: Searcher, opened: Collection, queries: Sequence[JudgedQuery]) -> dict[str, dict[str, int]]:
    remaining = iter(queries)
    qrels: dict[str, dict[str, int]] = {}
    while batch := list(islice(remaining, BATCH)):
        for query_id, gold in resolve_gold(searcher.client, opened, batch).items():
            qrels[query_id] = relevance_of(gold)
    return qrels


Legs = Mapping[Leg, Sequence[Hit]]


def _ask_all(
    searcher: Searcher,
    collection: str,
    queries: Sequence[JudgedQuery],
    options: SearchOptions,
    progress: Callable[[str, int], None],
    logits: Logits | None = None,
) -> dict[str, Legs]:
    """Ask each query once and keep what fusion needs of its legs."""
    kept: dict[str, Legs] = {}
    for query in queries:
        result = searcher.search(query.text, collection, options)
        if logits is not None:
            logits.remember(result.legs.values())
        kept[query.query_id] = {leg: [_bare(hit) for hit in hits] for leg, hits in result.legs.items()}
        progress(f"asking, {options.num_candidates} candidates", len(queries))
    return kept


def _bare(hit: Hit) -> Hit:
    return Hit(hit.chunk_id, hit.score, hit.doc_id, legs=hit.legs)


class _Scorer:
    """What each query scores when its legs are fused in some way, in the order of the judgements."""

    def __init__(self, qrels: Qrels, measure: str, depth: int, logits: Logits | None = None) -> None:
        self._logits = logits
        self._qrels = qrels
        self._measure = measure
        self._named = {measure: measures_of([depth])[measure]}

    def __call__(self, legs: Mapping[str, Legs], options: SearchOptions) -> Values:
        run = {}
        for query_id, rankings in legs.items():
            cut = {leg: hits[: options.leg_k] for leg, hits in rankings.items()}
            hits = fuse(cut, options)
            if self._logits is not None and options.strategy in RERANKED:
                hits = self._logits.reranked(query_id, hits, options)
            run[query_id] = by_document(hits[: options.leg_k])
        rows = evaluate(self._qrels, run, self._named)
        return np.array([rows[query_id][self._measure] for query_id in self._qrels])


def _choose(
    trials: Sequence[Trial], current: Mapping[str, float], legs: Mapping[str, float], measure: str, folds: int
) -> Tuning:
    matrix = np.stack([trial.values for trial in trials])
    now = next(row for trial, row in zip(trials, matrix, strict=True) if trial.fields == current)
    held_out = cross_validate(matrix, folds)
    means = matrix.mean(axis=1)
    best = int(means.argmax())
    (gain,) = compare({"tuned": (held_out, now)}, baseline="in use", measure=measure)
    ranked = sorted(zip(trials, means, strict=True), key=lambda pair: -pair[1])
    return Tuning(
        measure=measure,
        queries=matrix.shape[1],
        folds=folds,
        current=current,
        current_mean=float(now.mean()),
        best=trials[best].fields,
        best_mean=float(means[best]),
        held_out=confidence(held_out),
        gain=gain,
        legs=legs,
        trials=[(trial.fields, float(mean)) for trial, mean in ranked],
    )


def cross_validate(matrix: Values, folds: int) -> Values:
    """Give each query's value with the combination that was best on the other folds.

    `matrix` has shape (combinations, queries). Folds are drawn at random with a fixed seed.
    """
    queries = matrix.shape[1]
    fold_of = np.random.default_rng(SEED).permutation(np.arange(queries) % folds)
    held_out = np.empty(queries)
    for fold in range(folds):
        out = fold_of == fold
        held_out[out] = matrix[matrix[:, ~out].mean(axis=1).argmax()][out]
    return held_out
