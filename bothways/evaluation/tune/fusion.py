"""The fusion's parameters, chosen on judged queries: every leg is asked once, then all combinations are tried offline.

A plain grid and not a sampler: the rankings of the legs are kept, so that a combination costs no search, and the same
grid gives the same answer in every run. What is reported is the cross-validated value: each fifth of the queries is
measured with the combination that was best on the other four, so that luck in choosing is not counted as skill.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bothways.core.batches import batched
from bothways.core.datatypes import Leg
from bothways.core.results import Hit
from bothways.core.settings import FIXED
from bothways.evaluation.build import by_document
from bothways.evaluation.judged.gold import relevance_of, resolve_gold
from bothways.evaluation.judged.leaks import open_judged
from bothways.evaluation.judged.qrels import Qrels
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.evaluation.measures import evaluate, measures_of, require_measure
from bothways.evaluation.run import BATCH
from bothways.evaluation.statistics import SEED, Comparison, Interval, Values, compare, confidence, require_folds
from bothways.evaluation.tune.grid import ASKED_ANEW, ONLY_OF, Fields, Value, as_setting, leg_k_of
from bothways.evaluation.tune.rerank import Logits
from bothways.schemas.names import Strategy
from bothways.search.options import RERANKED, SearchOptions
from bothways.search.pipeline import Searcher
from bothways.search.rank.combine import fuse


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination: the settings' fields with their values, and what each query scores with them."""

    fields: Fields
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What a search for parameters found.

    `held_out` is the cross-validated mean of choosing on this grid, `gain` compares it with the fields in use now,
    query by query. `best` is the combination for all queries; its own mean (`best_mean`) flatters. `legs` are the
    means of the single legs on the same queries. `trials` are all combinations with their means, best first.
    """

    measure: str
    queries: int
    folds: int
    current: Fields
    current_mean: float
    best: Fields
    best_mean: float
    held_out: Interval
    gain: Comparison
    legs: Mapping[str, float]
    trials: Sequence[tuple[Fields, float]]

    @property
    def improves(self) -> bool:
        """Whether the held-out value is higher than what the fields in use give."""
        return self.gain.difference.mean > 0


def tune(
    searcher: Searcher,
    collection: str,
    queries: Sequence[JudgedQuery],
    grid: Sequence[Fields],
    *,
    options: SearchOptions,
    measure: str = "ndcg@10",
    folds: int = 5,
    allow_leaks: bool = False,
    progress: Callable[[str, int], None] = lambda _task, _of: None,
) -> Tuning:
    """Try all combinations of a grid on `hybrid` or `hybrid_rerank`; `progress` hears of searches and combinations.

    Raise `UsageError` for fewer queries than twice the folds: there would be nothing to choose on. Judged queries that
    are indexed questions are refused as in an evaluation, unless `allow_leaks`.
    """
    require_folds(queries, folds)
    depth = int(found.group(1)) if (found := re.search(r"@(\d+)$", measure)) else 10
    require_measure(measure, [depth])
    opened = open_judged(searcher.client, collection, queries, allow_leaks=allow_leaks)
    qrels = {
        query_id: relevance_of(gold)
        for batch in batched(queries, BATCH)
        for query_id, gold in resolve_gold(searcher.client, opened, batch).items()
    }
    logits = Logits(searcher.reranker(), queries, progress) if "rerank_alpha" in grid[0] else None
    score = _Scorer(qrels, measure, depth, logits)
    trials: list[Trial] = []
    leg_means: dict[str, float] = {}
    for asking, group in _asked_anew(grid, options).items():
        most = max(leg_k_of(fields, options) for fields in group)
        anew = dict(zip(ASKED_ANEW, asking, strict=True))
        asked = options.replace(strategy="hybrid", leg_k=most, top_k=most, **anew)
        legs = _ask_all(searcher, collection, queries, asked, progress, logits)
        for fields in group:
            trials.append(Trial(fields, score(legs, _with(options, fields))))
            progress("trying", len(grid))
        if not leg_means:
            singles: tuple[Strategy, ...] = ("bm25", "dense", "questions")
            leg_means = {name: float(score(legs, options.replace(strategy=name)).mean()) for name in singles}
    return _choose(trials, grid[0], leg_means, measure, folds)


def settings_lines(tuning: Tuning, *, collection: str, queries_file: str) -> str:
    """Write the best combination as lines for a `.env` file, with where it comes from."""
    gain = tuning.gain
    comment = [
        f"{SETTINGS_HEAD} for the collection {collection!r}",
        f"# {tuning.queries} queries of {queries_file}, {tuning.folds} folds",
        f"# {tuning.measure} held out {tuning.held_out.mean:.4f}, before {tuning.current_mean:.4f} (p {gain.p:.4f})",
    ]
    fusion = tuning.best.get("fusion")
    best = {
        field: value for field, value in tuning.best.items() if fusion is None or ONLY_OF.get(field, fusion) == fusion
    }
    if "weight_bm25" in best:
        best["weight_dense"] = 1.0
    fields = [f"BOTHWAYS_{field.upper()}={as_setting(value)}" for field, value in best.items() if field not in FIXED]
    if fixed := {field: value for field, value in best.items() if field in FIXED}:
        fields.append(f"BOTHWAYS_FIXED='{json.dumps(fixed)}'")
    return "\n".join([*comment, *fields]) + "\n"


SETTINGS_HEAD = "# Chosen by `bothways eval tune`"


def _with(options: SearchOptions, fields: Fields) -> SearchOptions:
    dense = {"weight_dense": 1.0} if "weight_bm25" in fields else {}
    strategy = "hybrid_rerank" if "rerank_alpha" in fields else "hybrid"
    return options.replace(**{"strategy": strategy, **dense, **fields})


def _asked_anew(grid: Sequence[Fields], options: SearchOptions) -> dict[tuple[Value, ...], list[Fields]]:
    groups: dict[tuple[Value, ...], list[Fields]] = {}
    for fields in grid:
        asking = tuple(fields.get(field, getattr(options, field)) for field in ASKED_ANEW)
        groups.setdefault(asking, []).append(fields)
    return groups


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
        progress(f"asking, {options.num_candidates} candidates, bigrams {options.weight_cjk:g}", len(queries))
    return kept


def _bare(hit: Hit) -> Hit:
    return Hit(chunk_id=hit.chunk_id, score=hit.score, doc_id=hit.doc_id, legs=hit.legs)


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


def _choose(trials: Sequence[Trial], current: Fields, legs: Mapping[str, float], measure: str, folds: int) -> Tuning:
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
    """Return each query's value with the combination that was best on the other folds.

    `matrix` has shape (combinations, queries). Folds are drawn at random with a fixed seed.
    """
    queries = matrix.shape[1]
    fold_of = np.random.default_rng(SEED).permutation(np.arange(queries) % folds)
    held_out = np.empty(queries)
    for fold in range(folds):
        out = fold_of == fold
        held_out[out] = matrix[matrix[:, ~out].mean(axis=1).argmax()][out]
    return held_out
