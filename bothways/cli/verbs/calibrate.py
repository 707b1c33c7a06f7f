"""`bothways eval calibrate`: the threshold below which hits are better not shown, chosen on judged queries."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bothways.cli.options import CollectionOption, JsonOption
from bothways.cli.output import out, print_json
from bothways.cli.verbs.evaluate import AllowLeaksOption, QrelsOption, SplitOption
from bothways.cli.verbs.tune import bars, refuse_to_overwrite
from bothways.core.machine.private_files import private_folder
from bothways.core.settings import settings
from bothways.core.text.markdown import markdown_table
from bothways.evaluation.judged.queries import load_queries, take_split
from bothways.evaluation.report.markdown import between
from bothways.evaluation.tune.calibrate import Calibration, Threshold
from bothways.evaluation.tune.calibrate import calibrate as find_threshold
from bothways.schemas.names import Strategy
from bothways.search.build import build_searcher

SETTINGS_HEAD = "# Chosen by `bothways eval calibrate`"


def calibrate(
    queries: Annotated[
        Path, typer.Argument(metavar="QUERIES", help="judged queries to choose by; not those that you report on")
    ],
    collection: CollectionOption,
    qrels: QrelsOption = None,
    split: SplitOption = None,
    strategy: Annotated[Strategy, typer.Option(help="strategy whose scores are used")] = "hybrid_rerank",
    precision: Annotated[
        float, typer.Option(min=0, max=1, help="share of the first hits that should be relevant")
    ] = 0.9,
    folds: Annotated[int, typer.Option(min=2, max=50, help="folds of the cross-validation")] = 5,
    allow_leaks: AllowLeaksOption = False,
    write: Annotated[Path, typer.Option("--write", help="settings file to write")] = Path("calibrated.env"),
    as_json: JsonOption = False,
) -> None:
    """Find the score below which hits are better not shown.

    It is chosen so that the first hit is relevant as often as `--precision` says, and written to a settings file.
    """
    refuse_to_overwrite(write, SETTINGS_HEAD)
    judged = take_split(load_queries(queries, qrels), split)
    searcher, _ = build_searcher(settings())
    with bars() as advance:
        found = find_threshold(
            searcher,
            collection,
            judged,
            options=settings().search.replace(strategy=strategy),
            precision=precision,
            folds=folds,
            allow_leaks=allow_leaks,
            progress=advance,
        )
    written = write if found.proposed is not None and found.is_setting else None
    if written is not None:
        private_folder(written.parent, narrow=False)
        written.write_text(settings_lines(found, collection=collection, queries_file=queries.name), encoding="utf-8")
    if as_json:
        print_json({**asdict(found), "written": str(written) if written else None})
    else:
        out.print("\n\n".join(_told(found, written)), markup=False)


def settings_lines(found: Calibration, *, collection: str, queries_file: str) -> str:
    """Write the threshold as a line for a `.env` file, with where it comes from."""
    lines = [
        f"{SETTINGS_HEAD} for the collection {collection!r}, {found.strategy}",
        f"# {found.queries} queries of {queries_file}, wanted precision {found.wanted:g}",
    ]
    if found.held_out is not None:
        held = found.held_out
        lines.append(
            f"# held out: precision {held.precision:.3f}, recall {held.recall:.3f}, answered {held.answered:.3f}"
        )
    if found.proposed is not None:
        lines.append(f"BOTHWAYS_RERANK_MIN_SCORE={found.proposed.min_score:g}")
    return "\n".join(lines) + "\n"


def _told(found: Calibration, written: Path | None) -> list[str]:
    told = [
        f"{found.queries} queries with {found.strategy}; the first hit of {found.relevant} is relevant",
        markdown_table(["min_score", "precision", "recall", "answered"], [_row(row) for row in found.rows]),
    ]
    if found.proposed is None:
        best = max((row.precision for row in found.rows), default=0.0)
        return [*told, f"No threshold reaches a precision of {found.wanted:g} (these: {best:.3f}); nothing is written."]
    told.append(f"for a precision of {found.wanted:g}:\n" + _line(found.proposed))
    if found.held_out is not None:
        interval = f" {between(found.precision)}" if found.precision else ""
        told.append(
            f"held out: precision {found.held_out.precision:.3f}{interval}, recall {found.held_out.recall:.3f}, "
            f"answered {found.held_out.answered:.3f}"
        )
    if written is not None:
        return [*told, f"Written to {written}: append it to .env, or `set -a; . {written}`."]
    return [*told, "Give it as min_score with each request: only reranked scores have a setting."]


def _row(row: Threshold) -> list[str]:
    return [f"{row.min_score:g}", f"{row.precision:.3f}", f"{row.recall:.3f}", f"{row.answered:.3f}"]


def _line(row: Threshold) -> str:
    return (
        f"min_score {row.min_score:g}: precision {row.precision:.3f}, recall {row.recall:.3f}, "
        f"answered {row.answered:.3f}"
    )
