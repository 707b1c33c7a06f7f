"""What a ranking is worth, by ir-measures: hit@k, MRR@k, nDCG@k, recall@k and MAP of each query."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import ir_measures
from ir_measures import AP, RR, R, Success, nDCG

from bothways.core.errors import UsageError
from bothways.evaluation.judged.qrels import Qrels, Run

DEPTH = 100
"""Documents of a ranking that MAP looks at."""
_BY_CUTOFF = {"hit": Success, "mrr": RR, "ndcg": nDCG, "recall": R}


def measures_of(ks: Sequence[int]) -> dict[str, ir_measures.Measure]:
    """Name the measures as the contract does: `hit@k`, `mrr@k`, `ndcg@k`, `recall@k` for each k, and `map`.

    `mrr@10` and `ndcg@10` are always among them.
    """
    named = {f"{name}@{k}": measure @ k for name, measure in _BY_CUTOFF.items() for k in ks}
    return {**named, "mrr@10": RR @ 10, "ndcg@10": nDCG @ 10, "map": AP @ DEPTH}


def table_columns(ks: Sequence[int]) -> list[str]:
    """Choose the measures that fit into a table; the others stand in `report.json`."""
    return [*(f"hit@{k}" for k in ks), "mrr@10", "ndcg@10", f"recall@{max(ks)}", "map"]


def require_measure(name: str, ks: Sequence[int]) -> str:
    """Return the name if such a measure is computed; raise `UsageError` with the names of those that are."""
    known = measures_of(ks)
    if name not in known:
        hint = " (its cut-off must be among --k)" if re.fullmatch(rf"({'|'.join(_BY_CUTOFF)})@\d+", name) else ""
        raise UsageError(f"There is no measure {name[:40]!r}{hint}; there are: {', '.join(known)}.")
    return name


def evaluate(qrels: Qrels, run: Run, named: Mapping[str, ir_measures.Measure]) -> dict[str, dict[str, float]]:
    """Return each judged query's values, `{query: {measure: value}}`; a query that the run lacks scores 0."""
    by_measure = {measure: name for name, measure in named.items()}
    rows: dict[str, dict[str, float]] = {query_id: dict.fromkeys(named, 0.0) for query_id in qrels}
    judged = {query_id: dict(documents) for query_id, documents in qrels.items() if documents}
    ranked = {query_id: dict(run[query_id]) for query_id in judged if query_id in run}
    if ranked:
        for metric in ir_measures.iter_calc(list(by_measure), judged, ranked):
            rows[metric.query_id][by_measure[metric.measure]] = float(metric.value)
    return rows
