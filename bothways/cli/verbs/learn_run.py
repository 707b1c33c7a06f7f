"""`bothways learn run`, `learn questions` and `learn rollback`: the weekly job, and taking back its last promotion."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from bothways.cli.ending import ended_by_sigterm
from bothways.cli.options import CollectionOption, JsonOption, parse_strategy
from bothways.cli.output import err, out, print_json, printable
from bothways.cli.verbs.learn_arguments import Settable
from bothways.core.errors import UsageError
from bothways.core.settings import settings
from bothways.evaluation.judged.queries import JudgedQuery, load_queries
from bothways.evaluation.measures import require_measure
from bothways.learning.judgments.judge import JudgmentThresholds
from bothways.learning.weekly.gate import Demands
from bothways.learning.weekly.parts import RunLimits, RunOptions, StepName
from bothways.learning.weekly.promotion import roll_back
from bothways.learning.weekly.run import learn_round
from bothways.models.llm.language_model import load_llm
from bothways.node.connect import connect
from bothways.search.build import build_searcher

DEMANDS, LIMITS, THRESHOLDS = Demands(), RunLimits(), JudgmentThresholds()
SETTABLE = Settable(DEMANDS, LIMITS, THRESHOLDS)
_CUTOFFS = (1, 3, 5, 10)
LOG_EVERY_S = 10.0

OutOption = Annotated[Path, typer.Option("--out", help="folder of the reports; the same for all runs")]
RegressionOption = Annotated[
    list[Path] | None,
    typer.Option(help="judged queries that never change: BEIR folder or JSON lines with gold; repeatable"),
]
NoRegressionOption = Annotated[
    bool, typer.Option("--no-regression", help="let held-out judgments alone decide what goes live")
]
DaysOption = Annotated[float, typer.Option(min=0.01, help="use feedback of the last so many days")]
StrategyOption = Annotated[str, typer.Option(help="strategy that users search with; the gate measures it")]
SetOption = Annotated[list[str] | None, SETTABLE.option()]
RemoveOption = Annotated[bool, typer.Option("--remove-refused", help="remove a candidate that the gate refuses")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="print what would be done, and change nothing")]


def run(
    collection: CollectionOption,
    out_dir: OutOption,
    regression: RegressionOption = None,
    no_regression: NoRegressionOption = False,
    days: DaysOption = 28.0,
    strategy: StrategyOption = "hybrid_rerank",
    set_: SetOption = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="stop fine-tuning after so many minutes; the best model so far is kept"),
    ] = None,
    remove_refused: RemoveOption = False,
    dry_run: DryOption = False,
    as_json: JsonOption = False,
) -> None:
    """Learn from users' feedback; only what makes nothing worse goes live.

    Chunks get new questions, the reranker is trained on, synonyms are proposed. A step that cannot be done is skipped.
    """
    options = _options(
        get_args(StepName), regression, no_regression=no_regression, dry_run=dry_run, strategy=strategy, given=set_
    )
    options = replace(options, days=days, minutes=minutes, remove_refused=remove_refused)
    _run(collection, options, out_dir, as_json=as_json)


def questions(
    collection: CollectionOption,
    out_dir: OutOption,
    regression: RegressionOption = None,
    no_regression: NoRegressionOption = False,
    days: DaysOption = 28.0,
    strategy: StrategyOption = "hybrid_rerank",
    set_: SetOption = None,
    remove_refused: RemoveOption = False,
    dry_run: DryOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write new questions for chunks that users found hard.

    Chunks that questions brought by mistake get new ones, too. That is the first step of `bothways learn run` alone; it
    needs a language model.
    """
    options = _options(
        ("questions",), regression, no_regression=no_regression, dry_run=dry_run, strategy=strategy, given=set_
    )
    _run(collection, replace(options, days=days, remove_refused=remove_refused), out_dir, as_json=as_json)


def rollback(collection: CollectionOption, as_json: JsonOption = False) -> None:
    """Undo the last promotion of a collection: its index and its reranker."""
    client, _ = connect(settings())
    done = roll_back(client, collection)
    if as_json:
        print_json(asdict(done))
        return
    if done.index_before != done.index:
        err.print(
            f"Searches in {collection} go to {done.index} again. What was indexed since {done.index_before} went live "
            "is not in it: run `bothways index` again for that.",
            markup=False,
        )
    if done.reranker_before != done.reranker:
        err.print(f"They are reranked by {done.reranker or 'the reranker of the settings'} again.", markup=False)
    err.print("What that run had learnt is not learnt again from the same feedback.", markup=False)


def _options(
    steps: Sequence[StepName],
    regression: Sequence[Path] | None,
    *,
    no_regression: bool,
    dry_run: bool,
    strategy: str,
    given: Sequence[str] | None,
) -> RunOptions:
    demands = SETTABLE.apply(given, DEMANDS)
    require_measure(demands.measure, _CUTOFFS)
    return RunOptions(
        search=settings().search.replace(strategy=parse_strategy(strategy)),
        steps=steps,
        thresholds=SETTABLE.apply(given, THRESHOLDS),
        limits=SETTABLE.apply(given, LIMITS),
        regression=_regression(regression or [], no_regression=no_regression, dry_run=dry_run),
        demands=demands,
        dry_run=dry_run,
    )


def _run(collection: str, options: RunOptions, out_dir: Path, *, as_json: bool) -> None:
    searcher, server = build_searcher(settings())
    llm = load_llm(settings())
    try:
        with err.status("reading feedback") as status, ended_by_sigterm():
            last = time.monotonic()

            def progress(doing: str) -> None:
                nonlocal last
                status.update(doing)
                if not err.is_terminal and time.monotonic() - last >= LOG_EVERY_S:
                    last = time.monotonic()
                    err.print(doing, markup=False)

            report = learn_round(settings(), searcher, server, collection, options, out_dir, llm=llm, progress=progress)
    finally:
        if llm is not None:
            llm.close()
    if as_json:
        print_json(report)
    else:
        _show(report, out_dir)
    if failed := [step for step in report["steps"] if step["state"] == "failed"]:
        for step in failed:
            err.print(f"bothways: {step['step']} failed: {step['reason']}", markup=False)
        raise typer.Exit(1)


def _show(report: dict[str, Any], out_dir: Path) -> None:
    read = report["feedback"]
    out.print(
        f"{read['searches']:,} searches, {read['sessions']:,} with a reaction: {read['answers']:,} answers and "
        f"{read['non_answers']:,} non-answers are certain; {read['held_out_queries']:,} questions are held out.",
        markup=False,
    )
    for step in report["steps"]:
        out.print(printable(f"{step['step']}: {step['state']} – {step['reason']}"), markup=False)
    if not report["dry_run"]:
        err.print(f"More in {out_dir}/report.md; `bothways learn rollback -c {report['collection']}` takes it back.")


def _regression(files: Sequence[Path], *, no_regression: bool, dry_run: bool) -> list[JudgedQuery] | None:
    """Read the frozen set; two files may use the same ids."""
    if files and no_regression:
        raise UsageError("--regression and --no-regression exclude each other.")
    if not files:
        if not no_regression and not dry_run:
            raise UsageError(
                "Without a frozen set of judged queries nothing shows whether searches get worse where no user "
                "clicked: name one with --regression FILE (as `bothways eval` reads it), or add --no-regression to let "
                "held-out judgments alone decide."
            )
        return None
    return [
        replace(query, query_id=f"{number}-{query.query_id}") if len(files) > 1 else query
        for number, path in enumerate(files, start=1)
        for query in load_queries(path)
    ]
