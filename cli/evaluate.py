"""`bothways eval`: strategies side by side on judged queries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from cli.options import CollectionOption, JsonOption, parse_strategy
from cli.output import err, out, print_json
from core.errors import UsageError
from core.settings import settings
from evaluation.qrels import load_queries
from evaluation.strategies import Report, compare_strategies, figure, write_report
from search.build import build_searcher, default_options


def evaluate(
    queries: Annotated[Path, typer.Argument(metavar="QUERIES", help="BEIR queries.jsonl, or JSON lines with gold")],
    collection: CollectionOption,
    out_dir: Annotated[Path | None, typer.Option("--out", help="folder for report.json, report.md and runs")] = None,
    qrels: Annotated[Path | None, typer.Option(help="BEIR or TREC judgements")] = None,
    strategies: Annotated[str, typer.Option(help="names, by commas")] = "bm25,dense,questions,hybrid,dedup",
    k: Annotated[str, typer.Option("--k", help="cut-offs of hit@k, by commas")] = "1,3,5,10",
    as_json: JsonOption = False,
) -> None:
    """Measure strategies on judged queries."""
    wanted = list(dict.fromkeys(parse_strategy(name) for name in strategies.split(",")))
    cutoffs = _cutoffs(k)
    options = default_options(settings())
    if cutoffs[-1] > options.leg_k:
        raise UsageError(f"--k goes up to {options.leg_k}, the hits that each leg brings (BOTHWAYS_LEG_K).")
    judged = load_queries(queries, qrels)
    if out_dir is not None:
        out_dir.mkdir(parents=True, exist_ok=True)
    searcher, _ = build_searcher(settings())
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("searching", total=len(wanted) * len(judged))
        report = compare_strategies(
            searcher,
            collection,
            judged,
            wanted,
            options=options,
            ks=cutoffs,
            progress=lambda _: bar.advance(task),
        )
    if out_dir is not None:
        write_report(report, out_dir)
    _warn(report)
    if as_json:
        print_json(report.as_dict())
    else:
        _table(report)


def _cutoffs(text: str) -> list[int]:
    try:
        cutoffs = sorted({int(part) for part in text.split(",")})
    except ValueError as error:
        raise UsageError(f"--k wants numbers by commas, not {text!r}.") from error
    if not cutoffs or cutoffs[0] < 1:
        raise UsageError("--k wants numbers from 1 on.")
    return cutoffs


def _warn(report: Report) -> None:
    if report.unjudged:
        names = ", ".join(report.unjudged[:5])
        err.print(
            f"{len(report.unjudged)} queries have no gold document in the index and score 0: {names} …", markup=False
        )
    for strategy, stages in report.degraded.items():
        for stage, times in stages.items():
            err.print(f"{strategy}: {times} of {report.queries} searches ran without {stage}.")


def _table(report: Report) -> None:
    columns = list(next(iter(report.strategies.values())))
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("strategy", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for strategy, row in report.strategies.items():
        table.add_row(strategy, *(figure(column, row[column]) for column in columns))
    out.print(f"{report.queries} queries on {report.index}")
    out.print(table)
