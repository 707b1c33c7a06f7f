"""The whole evaluation as one call: from judged queries and a collection to a report and, if wanted, its folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from bothways.core.collections.collection import Collection, open_collection
from bothways.core.errors import EvaluationError, QueryError, UsageError
from bothways.core.results import Hit
from bothways.evaluation.judged.gold import GoldDocument, resolve_gold
from bothways.evaluation.judged.leaks import find_leaks, named, refuse_leaks
from bothways.evaluation.judged.qrels import Qrels, Run
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.evaluation.measures import require_measure
from bothways.evaluation.report.values import FailureList, Plan, Report, make_report
from bothways.evaluation.report.write import ReportFolder
from bothways.evaluation.run import Answer, Ask, FindGold, QueryRow, run_strategies
from bothways.evaluation.slices import LENGTH
from bothways.schemas.names import Strategy
from bothways.search.options import SearchOptions
from bothways.search.pipeline import Searcher

log = structlog.get_logger()

_SET_BY_STRATEGY = frozenset({"strategy", "top_k", "offset", "explain", "highlight"})
"""Options that an evaluation sets itself."""
_SHOWN = 5
_SHOWN_CHARS = 200


def evaluate_collection(
    searcher: Searcher,
    collection: str,
    queries: Sequence[JudgedQuery],
    strategies: Sequence[Strategy],
    *,
    options: SearchOptions,
    plan: Plan | None = None,
    runs: Mapping[str, Run] | None = None,
    out: Path | None = None,
    allow_leaks: bool = False,
    about: Mapping[str, Any] | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Report:
    """Measure strategies side by side on one collection; `runs` adds rankings made elsewhere, by name.

    With `out`, the report and everything behind it is written to that folder. Raise `EvaluationError` if judged
    queries are among the indexed questions, unless `allow_leaks`; `UsageError` for what cannot be measured.
    """
    plan = plan or Plan()
    require_measure(plan.measure, plan.ks)
    asks = _asks(searcher, collection, strategies, options, runs or {})
    _require_baseline(plan, asks)
    if max(plan.ks) > options.leg_k:
        raise UsageError(f"--k goes up to {options.leg_k}, the hits that each leg brings (BOTHWAYS_LEG_K).")
    opened = open_collection(searcher.client, collection)
    leaks = find_leaks(searcher.client, opened, queries)
    if not allow_leaks:
        refuse_leaks(leaks)
    if leaks:
        log.warning("leaked_queries", queries=len(leaks), named=named(leaks), hint="also indexed questions")
    for strategy in strategies:
        asks[strategy](queries[0])  # loads models, opens connections
    return _measure(
        queries,
        asks,
        partial(resolve_gold, searcher.client, opened),
        plan=plan,
        slices=list(dict.fromkeys([LENGTH, *plan.slices])),
        out=out,
        about={**_about(opened, options, len(leaks)), **(about or {})},
        progress=progress,
    )


def evaluate_runs(
    qrels: Qrels, runs: Mapping[str, Run], *, plan: Plan | None = None, out: Path | None = None
) -> Report:
    """Measure TREC runs against judgements, without any index; a query that a run lacks scores 0."""
    plan = plan or Plan()
    require_measure(plan.measure, plan.ks)
    asks: dict[str, Ask] = {name: partial(_look_up, run) for name, run in runs.items()}
    _require_baseline(plan, asks)
    queries = [JudgedQuery(query_id=query_id, text=query_id, relevant=relevant) for query_id, relevant in qrels.items()]
    return _measure(queries, asks, _believed, plan=plan, slices=(), out=out, about={})


def _believed(queries: Sequence[JudgedQuery]) -> dict[str, list[GoldDocument]]:
    return {
        q.query_id: [GoldDocument(doc_id=d, relevance=relevance, in_index=True) for d, relevance in q.relevant.items()]
        for q in queries
    }


def _require_baseline(plan: Plan, asks: Mapping[str, Ask]) -> None:
    if plan.baseline is not None and plan.baseline not in asks:
        raise UsageError(f"The baseline {plan.baseline!r} is not among the strategies: {', '.join(asks)}.")


def _measure(
    queries: Sequence[JudgedQuery],
    asks: Mapping[str, Ask],
    find_gold: FindGold,
    *,
    plan: Plan,
    slices: Sequence[str],
    out: Path | None,
    about: Mapping[str, Any],
    progress: Callable[[], None] = lambda: None,
) -> Report:
    failures = FailureList(list(asks), max(plan.ks))
    with ExitStack() as stack:
        folder = stack.enter_context(ReportFolder(out, list(asks), max(plan.ks))) if out else None

        def sink(row: QueryRow) -> None:
            failures(row)
            if folder:
                folder.add(row)

        tally = run_strategies(queries, asks, find_gold, ks=plan.ks, slices=slices, sink=sink, progress=progress)
        report = make_report(tally, failures, plan, about)
        if folder:
            folder.finish(report)
    return report


def _about(collection: Collection, options: SearchOptions, leaks: int) -> dict[str, Any]:
    return {
        "collection": collection.name,
        "index": collection.index,
        "embedding_model": collection.embedding_model,
        "analyzer": collection.analyzer,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "leaked_queries": leaks,
        "settings": {name: value for name, value in options.model_dump().items() if name not in _SET_BY_STRATEGY},
    }


def _asks(
    searcher: Searcher, collection: str, strategies: Sequence[Strategy], options: SearchOptions, runs: Mapping[str, Run]
) -> dict[str, Ask]:
    asks: dict[str, Ask] = {}
    for strategy in strategies:
        wanted = options.replace(strategy=strategy, top_k=options.leg_k, explain=False, highlight=False)
        asks[strategy] = partial(_search, searcher, collection, wanted)
    for name, run in runs.items():
        if name in asks:
            raise UsageError(f"The run {name!r} has the name of a strategy that is measured too.")
        asks[name] = partial(_look_up, run)
    if not asks:
        raise UsageError("There is nothing to measure: name strategies or runs.")
    return asks


def _search(searcher: Searcher, collection: str, options: SearchOptions, query: JudgedQuery) -> Answer:
    try:
        result = searcher.search(query.text, collection, options)
    except QueryError as error:
        raise EvaluationError(f"The query {query.query_id[:40]!r} cannot be searched for: {error}") from error
    return Answer(
        ranking=by_document(result.hits),
        shown=_shown(result.hits),
        ms=result.timings_ms["total"],
        degraded=result.degraded,
    )


def _look_up(run: Run, query: JudgedQuery) -> Answer:
    found = run.get(query.query_id, {})
    return Answer(ranking=dict(sorted(found.items(), key=lambda item: -item[1])))


def by_document(hits: Sequence[Hit]) -> dict[str, float]:
    """Rank documents by their best chunk, and the copies of a hit, which it names, directly after it.

    The scores are 1 / rank, so that equal scores keep their order.
    """
    documents = dict.fromkeys(doc_id for hit in hits for doc_id in (hit.doc_id, *(c.doc_id for c in hit.duplicates)))
    return {document: 1 / rank for rank, document in enumerate(documents, start=1)}


def _shown(hits: Sequence[Hit]) -> dict[str, tuple[str, str]]:
    copies = {copy.doc_id: (copy.title, hit.text[:_SHOWN_CHARS]) for hit in hits for copy in hit.duplicates}
    first = copies | {hit.doc_id: (hit.title, hit.text[:_SHOWN_CHARS]) for hit in reversed(hits)}
    return {document: first[document] for document in list(by_document(hits))[:_SHOWN]}
