"""`bothways learn run`, `learn questions` and `learn rollback`: the weekly job, and taking its last promotion back."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from bothways.cli.ending import ended_by_sigterm
from bothways.cli.options import CollectionOption, JsonOption, parse_strategy
from bothways.cli.output import err, out, print_json, printable
from bothways.core.errors import UsageError
from bothways.core.settings import settings
from bothways.evaluation.judged.queries import JudgedQuery, load_queries
from bothways.evaluation.measures import require_measure
from bothways.learning.judgments.judge import Bounds
from bothways.learning.weekly.gate import Demands
from bothways.learning.weekly.parts import StepName, Wanted
from bothways.learning.weekly.promotion import roll_back
from bothways.learning.weekly.run import learn_round
from bothways.models.llm.language_model import load_llm
from bothways.node.connect import connect
from bothways.search.build import build_searcher

BOUNDS, DEMANDS = Bounds(), Demands()
STEPS: tuple[StepName, ...] = get_args(StepName)
_CUTOFFS = (1, 3, 5, 10)
LOG_EVERY_S = 10.0

OutOption = Annotated[Path, typer.Option("--out", help="folder of the reports; the same for all runs")]
RegressionOption = Annotated[
    list[Path] | None, typer.Option(help="frozen judged queries: BEIR folder or JSON lines with gold; repeatable")
]
NoRegressionOption = Annotated[
    bool, typer.Option("--no-regression", help="let held-out judgements alone decide what goes live")
]
DaysOption = Annotated[float, typer.Option(min=0.01, help="feedback of the last so many days")]
StrategyOption = Annotated[str, typer.Option(help="the strategy that is served, by which the gate measures")]
MeasureOption = Annotated[str, typer.Option(help="what the gate decides by")]
MarginOption = Annotated[float, typer.Option(min=0, max=1, help="a loss above it has to be excluded")]
MaxShareOption = Annotated[float, typer.Option(min=0, max=1, help="of the chunks that one run may change")]
HeldOutOption = Annotated[float, typer.Option(min=0.01, max=0.9, help="share of the questions that only the gate sees")]
MinHeldOutOption = Annotated[int, typer.Option(min=1, help="held-out questions that the gate needs")]
MinRegressionOption = Annotated[int, typer.Option(min=1, help="queries of the regression set that it needs")]
MinEvidenceOption = Annotated[int, typer.Option(min=1, help="clicks, or times passed over, that make a judgement")]
MinHoursOption = Annotated[int, typer.Option(min=1, help="different hours that they come from")]
MinPositivesOption = Annotated[int, typer.Option(min=1, help="questions with an answer that fine-tuning needs")]
MinutesOption = Annotated[float | None, typer.Option(min=0.01, help="end fine-tuning then, with the best so far")]
RemoveOption = Annotated[bool, typer.Option("--remove-refused", help="remove a candidate that is refused")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="say what would be done; nothing is written or asked")]


def run(
    collection: CollectionOption,
    out_dir: OutOption,
    regression: RegressionOption = None,
    no_regression: NoRegressionOption = False,
    days: DaysOption = 28.0,
    steps: Annotated[str, typer.Option(help="which of them, by commas")] = ",".join(STEPS),
    strategy: StrategyOption = "hybrid_rerank",
    measure: MeasureOption = DEMANDS.measure,
    margin: MarginOption = DEMANDS.margin,
    max_share: MaxShareOption = 0.1,
    held_out: HeldOutOption = 0.25,
    min_held_out: MinHeldOutOption = DEMANDS.min_held_out,
    min_regression: MinRegressionOption = DEMANDS.min_regression,
    min_evidence: MinEvidenceOption = BOUNDS.evidence,
    min_hours: MinHoursOption = BOUNDS.hours,
    min_positives: MinPositivesOption = 100,
    minutes: MinutesOption = None,
    remove_refused: RemoveOption = False,
    dry_run: DryOption = False,
    as_json: JsonOption = False,
) -> None:
    """Learn from users' feedback; only what makes nothing worse goes live.

    Learn from users' feedback, and let go live what makes nothing worse: questions, reranker, proposed synonyms.
    """
    wanted = Wanted(
        options=settings().search.replace(strategy=parse_strategy(strategy)),
        steps=_steps(steps),
        days=days,
        bounds=Bounds(evidence=min_evidence, hours=min_hours),
        held_out=held_out,
        max_share=max_share,
        regression=_regression(regression or [], no_regression=no_regression, dry_run=dry_run),
        demands=Demands(
            measure=require_measure(measure, _CUTOFFS),
            margin=margin,
            min_held_out=min_held_out,
            min_regression=min_regression,
        ),
        min_positives=min_positives,
        minutes=minutes,
        remove_refused=remove_refused,
        dry_run=dry_run,
    )
    _run(collection, wanted, out_dir, as_json=as_json)


def questions(
    collection: CollectionOption,
    out_dir: OutOption,
    regression: RegressionOption = None,
    no_regression: NoRegressionOption = False,
    days: DaysOption = 28.0,
    strategy: StrategyOption = "hybrid_rerank",
    measure: MeasureOption = DEMANDS.measure,
    margin: MarginOption = DEMANDS.margin,
    max_share: MaxShareOption = 0.1,
    held_out: HeldOutOption = 0.25,
    min_held_out: MinHeldOutOption = DEMANDS.min_held_out,
    min_regression: MinRegressionOption = DEMANDS.min_regression,
    min_evidence: MinEvidenceOption = BOUNDS.evidence,
    min_hours: MinHoursOption = BOUNDS.hours,
    remove_refused: RemoveOption = False,
    dry_run: DryOption = False,
    as_json: JsonOption = False,
) -> None:
    """Do the questions step of `learn run` alone.

    Do the step of the questions alone: new ones for chunks that users found hard, or found by mistake.
    """
    run(
        collection=collection,
        out_dir=out_dir,
        regression=regression,
        no_regression=no_regression,
        days=days,
        steps="questions",
        strategy=strategy,
        measure=measure,
        margin=margin,
        max_share=max_share,
        held_out=held_out,
        min_held_out=min_held_out,
        min_regression=min_regression,
        min_evidence=min_evidence,
        min_hours=min_hours,
        remove_refused=remove_refused,
        dry_run=dry_run,
        as_json=as_json,
    )


def rollback(collection: CollectionOption, as_json: JsonOption = False) -> None:
    """Undo the last promotion of a collection: its index and its reranker.

    Put back what was there before the last promotion of a collection, index and reranker.
    """
    client, _ = connect(settings())
    done = roll_back(client, collection)
    if as_json:
        print_json(
            {
                "run": done.run_id,
                "left": done.left,
                "live": done.live,
                "reranker_left": done.reranker_left,
                "reranker": done.reranker,
            }
        )
        return
    if done.left != done.live:
        err.print(
            f"Searches in {collection} go to {done.live} again. What was indexed since {done.left} went live is not in "
            "it: run `bothways index` again for that.",
            markup=False,
        )
    if done.reranker_left != done.reranker:
        err.print(f"They are reranked by {done.reranker or 'the reranker of the settings'} again.", markup=False)
    err.print("What that run had learnt is not learnt again from the same feedback.", markup=False)


def _run(collection: str, wanted: Wanted, out_dir: Path, *, as_json: bool) -> None:
    searcher, server = build_searcher(settings())
    llm = load_llm(settings())
    try:
        with err.status("reading feedback") as status, ended_by_sigterm():
            last = time.monotonic()

            def tell(what: str) -> None:
                nonlocal last
                status.update(what)
                if not err.is_terminal and time.monotonic() - last >= LOG_EVERY_S:
                    last = time.monotonic()
                    err.print(what, markup=False)

            report = learn_round(settings(), searcher, server, collection, wanted, out_dir, llm=llm, tell=tell)
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
        f"{read['searches']:,} searches, {read['sessions']:,} reacted to: {read['answers']:,} answers and "
        f"{read['non_answers']:,} non-answers are certain; {read['held_out_queries']:,} questions are held out.",
        markup=False,
    )
    for step in report["steps"]:
        out.print(printable(f"{step['step']}: {step['state']} – {step['reason']}"), markup=False)
    if not report["dry_run"]:
        err.print(f"More in {out_dir}/report.md; `bothways learn rollback -c {report['collection']}` takes it back.")


def _steps(given: str) -> list[StepName]:
    names = [name.strip() for name in given.split(",") if name.strip()]
    wrong = [name for name in names if name not in STEPS]
    if wrong or not names:
        raise UsageError(f"--steps wants {', '.join(STEPS)}, not {given[:80]!r}.")
    return [step for step in STEPS if step in names]


def _regression(files: list[Path], *, no_regression: bool, dry_run: bool) -> list[JudgedQuery] | None:
    """Read the frozen set; two files may use the same ids."""
    if files and no_regression:
        raise UsageError("--regression and --no-regression exclude each other.")
    if not files:
        if not no_regression and not dry_run:
            raise UsageError(
                "Without a frozen set of judged queries nothing can tell whether searches get worse where no user "
                "clicked: name one with --regression FILE (as `bothways eval` reads it), or say --no-regression to let "
                "held-out judgements alone decide."
            )
        return None
    return [
        replace(query, query_id=f"{number}-{query.query_id}") if len(files) > 1 else query
        for number, path in enumerate(files, start=1)
        for query in load_queries(path)
    ]
