"""Strategies side by side: the same judged queries through each, over the same node, into one report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.collection import open_collection
from core.datatypes import Hit, Strategy
from evaluation.measures import evaluate
from evaluation.qrels import JudgedQuery, resolve_gold
from search.pipeline import Searcher, SearchOptions


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation found: a row of measures a strategy, the judgements, the runs, and each query's values."""

    collection: str
    index: str
    strategies: dict[str, dict[str, float]]
    queries: int
    unjudged: list[str]
    runs: dict[str, dict[str, dict[str, float]]]
    per_query: dict[str, dict[str, dict[str, float]]]
    degraded: dict[str, dict[str, int]]

    def as_dict(self) -> dict[str, Any]:
        """Give `report.json`, as the contract has it."""
        return {
            "collection": self.collection,
            "index": self.index,
            "queries": self.queries,
            "strategies": self.strategies,
            "gold_not_in_index": self.unjudged,
            "degraded": self.degraded,
            "per_query": self.per_query,
        }


def compare_strategies(
    searcher: Searcher,
    collection: str,
    queries: Sequence[JudgedQuery],
    strategies: Sequence[Strategy],
    *,
    options: SearchOptions,
    ks: Sequence[int] = (1, 3, 5, 10),
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run every query through every strategy and measure; one warm-up search keeps loading out of the times."""
    opened = open_collection(searcher.client, collection)
    qrels = resolve_gold(searcher.client, opened, list(queries))
    rows: dict[str, dict[str, float]] = {}
    runs: dict[str, dict[str, dict[str, float]]] = {}
    per_query: dict[str, dict[str, dict[str, float]]] = {}
    degraded: dict[str, dict[str, int]] = {}
    for strategy in strategies:
        wanted = replace(options, strategy=strategy, top_k=options.leg_k, explain=False, highlight=False)
        searcher.search(queries[0].text, collection, wanted)
        run: dict[str, dict[str, float]] = {}
        times: list[float] = []
        skipped: dict[str, int] = {}
        for query in queries:
            result = searcher.search(query.text, collection, wanted)
            run[query.query_id] = by_document(result.hits)
            times.append(result.timings_ms["total"])
            for stage in result.degraded:
                skipped[stage] = skipped.get(stage, 0) + 1
            progress(strategy)
        means, per_query[strategy] = evaluate(qrels, run, ks)
        rows[strategy] = {**means, **percentiles(times)}
        runs[strategy] = run
        degraded[strategy] = skipped
    unjudged = [query.query_id for query in queries if not qrels[query.query_id]]
    return Report(collection, opened.index, rows, len(queries), unjudged, runs, per_query, degraded)


def by_document(hits: Sequence[Hit]) -> dict[str, float]:
    """Rank documents by their best chunk. The scores are 1 / rank, so that equal scores keep their order."""
    documents = dict.fromkeys(hit.doc_id for hit in hits)
    return {document: 1 / rank for rank, document in enumerate(documents, start=1)}


def percentiles(times_ms: Sequence[float]) -> dict[str, float]:
    """Give the median and the 95th percentile of one strategy's times in milliseconds."""
    p50, p95 = np.percentile(times_ms, [50, 95])
    return {"p50_ms": round(float(p50), 2), "p95_ms": round(float(p95), 2)}


def write_report(report: Report, folder: Path) -> None:
    """Write `report.json`, `report.md` and a TREC run file a strategy into a folder, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.as_dict(), ensure_ascii=False, indent=1)
    (folder / "report.json").write_text(text, encoding="utf-8")
    (folder / "report.md").write_text(markdown_table(report.strategies), encoding="utf-8")
    for strategy, run in report.runs.items():
        lines = (
            f"{_one_word(query_id)} Q0 {_one_word(document)} {rank} {score:.6f} bothways-{strategy}\n"
            for query_id, documents in run.items()
            for rank, (document, score) in enumerate(documents.items(), start=1)
        )
        with (folder / f"run-{strategy}.trec").open("w", encoding="utf-8") as file:
            file.writelines(lines)


def _one_word(identifier: str) -> str:
    """Keep TREC's columns apart: an id of several words is joined."""
    return "_".join(identifier.split())


def markdown_table(strategies: Mapping[str, Mapping[str, float]]) -> str:
    """Lay the strategies out as a table, a row each."""
    names = list(next(iter(strategies.values())))
    head = f"| strategy | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n"
    return head + "".join(
        f"| {strategy} | " + " | ".join(figure(name, row[name]) for name in names) + " |\n"
        for strategy, row in strategies.items()
    )


def figure(name: str, value: float) -> str:
    """Print one figure as tables have it: milliseconds with one place, measures with three and no leading zero."""
    return f"{value:.1f}" if name.endswith("_ms") else f"{value:.3f}".removeprefix("0")
