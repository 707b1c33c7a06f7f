"""`bothways learn judgements`: what users' clicks and votes say for certain, as files to evaluate and train with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bothways.cli.options import CollectionOption, JsonOption
from bothways.cli.output import err, out, print_json
from bothways.core.settings import settings
from bothways.learning.judgments.build import learn_judgements
from bothways.learning.judgments.files import write_judgements
from bothways.learning.judgments.judge import Bounds

DEFAULTS = Bounds()


def judgements(
    collection: CollectionOption,
    out_dir: Annotated[Path, typer.Option("--out", help="folder of the files; those of an earlier run are replaced")],
    days: Annotated[float | None, typer.Option(min=0, help="only the last so many days; unset: all there is")] = None,
    min_evidence: Annotated[
        int, typer.Option(min=1, help="clicks, or times passed over; a vote is three")
    ] = DEFAULTS.evidence,
    min_hours: Annotated[int, typer.Option(min=1, help="different hours that they come from")] = DEFAULTS.hours,
    credible: Annotated[float, typer.Option(min=0.5, max=0.999, help="mass of the interval")] = DEFAULTS.credible,
    as_json: JsonOption = False,
) -> None:
    """Turn clicks and votes into relevance judgments, as far as they are certain.

    Judge chunks by what users clicked and passed over, as far as it is certain, and say what was left and why.
    """
    bounds = Bounds(evidence=min_evidence, hours=min_hours, credible=credible)
    with err.status("reading feedback"):
        outcome = learn_judgements(settings(), collection, bounds, days=days)
    report = write_judgements(outcome, out_dir)
    if as_json:
        print_json(report | {"out": str(out_dir)})
    else:
        _show(report, out_dir)


def _show(report: dict[str, Any], folder: Path) -> None:
    read = report["read"]
    out.print(
        f"{read['searches']:,} searches, {read['events']:,} events: {read['sessions']:,} searches were reacted to.",
        markup=False,
    )
    out.print(
        f"{report['positives']:,} answers and {report['negatives']:,} non-answers are certain; "
        f"{sum(report['left'].values()):,} pairs are left.",
        markup=False,
    )
    for reason, times in report["left"].items():
        out.print(f"  {times:,} {reason}", markup=False)
    if report["queries"]:
        err.print(
            f"Evaluate by them: bothways eval {folder}/queries.jsonl --collection {report['collection']}. "
            f"More in {folder}/report.md",
            markup=False,
        )
    else:
        err.print(f"No question has a certain answer yet; {folder}/report.md says what is missing.", markup=False)
