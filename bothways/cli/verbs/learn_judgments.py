"""`bothways learn judgments`: what users' clicks and votes say for certain, as files to evaluate and train with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bothways.cli.options import CollectionOption, JsonOption
from bothways.cli.output import err, out, print_json
from bothways.cli.verbs.learn_arguments import Settable
from bothways.core.settings import settings
from bothways.learning.judgments.build import learn_judgments
from bothways.learning.judgments.files import write_judgments
from bothways.learning.judgments.judge import JudgmentThresholds

DEFAULTS = JudgmentThresholds()
SETTABLE = Settable(DEFAULTS)


def judgments(
    collection: CollectionOption,
    out_dir: Annotated[Path, typer.Option("--out", help="folder of the files; those of an earlier run are replaced")],
    days: Annotated[float | None, typer.Option(min=0, help="only the last so many days; unset: all there is")] = None,
    set_: Annotated[list[str] | None, SETTABLE.option()] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn clicks and votes into judgments, as far as they are certain.

    The report says why the other pairs of question and chunk are undecided.
    """
    thresholds = SETTABLE.apply(set_, DEFAULTS)
    with err.status("reading feedback"):
        outcome = learn_judgments(settings(), collection, thresholds, days=days)
    report = write_judgments(outcome, out_dir)
    if as_json:
        print_json(report | {"out": str(out_dir)})
    else:
        _show(report, out_dir)


def _show(report: dict[str, Any], folder: Path) -> None:
    read = report["read"]
    out.print(
        f"{read['searches']:,} searches, {read['events']:,} events: {read['sessions']:,} searches with a reaction.",
        markup=False,
    )
    out.print(
        f"{report['positives']:,} answers and {report['negatives']:,} non-answers are certain; "
        f"{sum(report['undecided'].values()):,} pairs are undecided.",
        markup=False,
    )
    for reason, times in report["undecided"].items():
        out.print(f"  {times:,} {reason}", markup=False)
    if report["queries"]:
        err.print(
            f"Evaluate by them: bothways eval {folder}/queries.jsonl --collection {report['collection']}. "
            f"More in {folder}/report.md",
            markup=False,
        )
    else:
        err.print(f"No question has a certain answer yet; {folder}/report.md says what is missing.", markup=False)
