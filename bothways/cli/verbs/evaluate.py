"""`bothways eval`: strategies side by side on judged queries; `eval trec` and `eval compare` for what others made."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from bothways.cli.options import (
    CollectionOption,
    FusionOption,
    JsonOption,
    RewriteOption,
    parse_strategy,
)
from bothways.cli.output import err, out, print_json, printable
from bothways.core.errors import UsageError
from bothways.core.settings import settings
from bothways.evaluation.build import evaluate_collection, evaluate_runs
from bothways.evaluation.compare import compare_reports
from bothways.evaluation.judged.qrels import Run, load_qrels, load_run
from bothways.evaluation.judged.queries import Split, load_queries, take_split
from bothways.evaluation.report.markdown import between, degraded_lines, not_significant, p_value, signed
from bothways.evaluation.report.values import Plan, Report, figure
from bothways.schemas.options import options
from bothways.search.build import build_searcher

OutOption = Annotated[
    Path | None, typer.Option("--out", help="folder for the report (JSON, Markdown, HTML), its rows and TREC runs")
]
QrelsOption = Annotated[Path | None, typer.Option(help="relevance judgments in the form of BEIR or TREC")]
CutoffsOption = Annotated[
    str, typer.Option("--k", help="cut-offs of hit@k, mrr@k, ndcg@k and recall@k, separated by commas")
]
MeasureOption = Annotated[str, typer.Option(help="the measure that intervals, tests and slices are computed for")]
SplitOption = Annotated[
    Split | None, typer.Option(help="use only a part of the queries: dev is a fifth of them, train the rest")
]
AllowLeaksOption = Annotated[
    bool, typer.Option("--allow-leaks", help="go on although some judged queries are indexed as pseudo-questions")
]
SliceOption = Annotated[
    list[str] | None, typer.Option("--slice", help="field of the queries to group the results by; repeatable")
]


def evaluate(
    queries: Annotated[
        Path, typer.Argument(metavar="QUERIES", help="BEIR's queries.jsonl, or JSON lines with `query` and `gold`")
    ],
    collection: CollectionOption,
    out_dir: OutOption = None,
    qrels: QrelsOption = None,
    strategies: Annotated[
        str, typer.Option(help="strategies to measure, separated by commas")
    ] = "bm25,dense,questions,hybrid,dedup",
    k: CutoffsOption = "1,3,5,10",
    measure: MeasureOption = "ndcg@10",
    baseline: Annotated[
        str | None, typer.Option(help="strategy that the others are compared with; unset: the first")
    ] = None,
    slices: SliceOption = None,
    split: SplitOption = None,
    runs: Annotated[
        list[str] | None, typer.Option("--run", help="NAME=FILE: a TREC run to measure beside them; repeatable")
    ] = None,
    pseudo_docs: Annotated[
        Path | None, typer.Option(help="JSON lines with pseudo-documents, instead of a language model")
    ] = None,
    rewrite: RewriteOption = None,
    fusion: FusionOption = None,
    allow_leaks: AllowLeaksOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure strategies on judged queries."""
    wanted = list(dict.fromkeys(parse_strategy(name) for name in strategies.split(",") if name.strip()))
    plan = Plan(ks=parse_cutoffs(k), measure=measure, baseline=baseline, slices=slices or ())
    rankings = dict(_named_run(pair) for pair in runs or [])
    judged = take_split(load_queries(queries, qrels), split)
    searcher, _ = build_searcher(settings(), rewrites=pseudo_docs)
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("searching", total=(len(wanted) + len(rankings)) * len(judged))
        report = evaluate_collection(
            searcher,
            collection,
            judged,
            wanted,
            options=options(settings().search, {"rewrite": rewrite, "fusion": fusion}),
            plan=plan,
            runs=rankings,
            out=out_dir,
            allow_leaks=allow_leaks,
            about={"queries_file": queries.name, **({"split": split} if split else {})},
            progress=lambda: bar.advance(task),
        )
    _tell(report, as_json=as_json)


def trec(
    qrels: Annotated[Path, typer.Argument(metavar="QRELS", help="relevance judgments in the form of TREC or BEIR")],
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="TREC runs: FILE or NAME=FILE")],
    out_dir: OutOption = None,
    k: CutoffsOption = "1,3,5,10",
    measure: MeasureOption = "ndcg@10",
    baseline: Annotated[
        str | None, typer.Option(help="strategy that the others are compared with; unset: the first")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure TREC runs of any system; needs no Elasticsearch."""
    rankings = dict(_named_run(pair) for pair in runs)
    report = evaluate_runs(
        load_qrels(qrels), rankings, plan=Plan(ks=parse_cutoffs(k), measure=measure, baseline=baseline), out=out_dir
    )
    _tell(report, as_json=as_json)


def compare(
    first: Annotated[Path, typer.Argument(metavar="A/report.json", help="the report to compare with")],
    second: Annotated[Path, typer.Argument(metavar="B/report.json", help="the other report")],
    measure: Annotated[str | None, typer.Option(help="measure to compare by; unset: that of the first report")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two reports on the queries that both have."""
    found = compare_reports(first, second, measure=measure)
    if as_json:
        print_json(asdict(found))
    else:
        out.print(printable(found.markdown()), markup=False, end="")


def parse_cutoffs(text: str) -> list[int]:
    """Read `--k`: numbers from 1 on, sorted."""
    try:
        cutoffs = sorted({int(part) for part in text.split(",")})
    except ValueError as error:
        raise UsageError(f"--k wants numbers by commas, not {text!r}.") from error
    if not cutoffs or cutoffs[0] < 1:
        raise UsageError("--k wants numbers from 1 on.")
    return cutoffs


def _named_run(pair: str) -> tuple[str, Run]:
    """Read `NAME=FILE`, or FILE alone. The name will be part of a file's name, so it has to be a plain word."""
    name, equals, file = pair.partition("=")
    path = Path(file if equals else pair)
    name = name if equals else path.stem.removeprefix("run-")
    if not re.fullmatch(r"[\w.-]{1,60}", name, re.ASCII):
        raise UsageError(f"--run wants NAME=FILE with a name of letters, digits, - and _, not {pair[:80]!r}.")
    return name, load_run(path)


def _tell(report: Report, *, as_json: bool) -> None:
    _warn(report)
    if as_json:
        print_json(report.as_dict())
    else:
        _tables(report)


def _warn(report: Report) -> None:
    if report.missing:
        named = "; ".join(report.missing_named[:5]) + ("; …" if report.missing > 5 else "")
        err.print(
            f"{report.missing} judged documents are not in the index and count as not found: {printable(named)}. "
            f"{len(report.unanswerable)} queries have no other and score 0.",
            markup=False,
        )
    for line in degraded_lines(report):
        err.print(f"{line}.", markup=False)


def _tables(report: Report) -> None:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("strategy", no_wrap=True)
    for column in report.columns:
        table.add_column(column, justify="right", no_wrap=True)
    for strategy, row in report.strategies.items():
        table.add_row(strategy, *(figure(column, row.get(column)) for column in report.columns))
    out.print(f"{report.queries} queries on {report.about.get('index', 'runs from files')}")
    out.print(table)
    for one in report.comparisons:
        out.print(
            f"{one.measure} of {one.name} against {one.baseline}: {signed(one.difference.mean)} "
            f"{between(one.difference, sign=True)}, p {p_value(one.p_adjusted)}"
            f"{not_significant(one)}",
            markup=False,
        )
