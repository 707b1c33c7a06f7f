"""What a ranking is worth, by ir-measures: hit@k, MRR@10, nDCG@10 and MAP, as means over all judged queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ir_measures
from ir_measures import AP, RR, Success, nDCG

Run = Mapping[str, Mapping[str, float]]
"""`{query: {document: score}}`"""
Qrels = Mapping[str, Mapping[str, int]]
"""`{query: {document: relevance}}`"""

DEPTH = 100
"""Documents of a ranking that are looked at."""


def measures_of(ks: Sequence[int]) -> dict[str, ir_measures.Measure]:
    """Name the measures as the contract does: `hit@k` for each k, `mrr@10`, `ndcg@10`, `map`."""
    hits = {f"hit@{k}": Success @ k for k in ks}
    return {**hits, "mrr@10": RR @ 10, "ndcg@10": nDCG @ 10, "map": AP @ DEPTH}


def evaluate(qrels: Qrels, run: Run, ks: Sequence[int]) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Give the means, and each query's own values `{query: {measure: value}}`.

    A judged query that the run lacks, or whose gold is not in the index, scores 0 and is not dropped.
    """
    named = measures_of(ks)
    by_measure = {measure: name for name, measure in named.items()}
    rows: dict[str, dict[str, float]] = {query_id: dict.fromkeys(named, 0.0) for query_id in qrels}
    judged = {query_id: dict(documents) for query_id, documents in qrels.items() if documents}
    if judged:
        for metric in ir_measures.iter_calc(list(named.values()), judged, {q: dict(r) for q, r in run.items()}):
            rows[metric.query_id][by_measure[metric.measure]] = float(metric.value)
    means = {name: sum(row[name] for row in rows.values()) / max(1, len(rows)) for name in named}
    return means, rows
