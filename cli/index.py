"""`bothways index`: a file or folder into a collection, with progress, a summary, and every failure named."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.options import CollectionOption, JsonOption
from cli.output import err, print_json, printable
from core.errors import UsageError
from core.settings import Settings, load_settings
from indexer.build import build_parts, build_writer
from indexer.job import index_path
from indexer.parts import JobOptions
from indexer.report import JobReport

LOG_EVERY_S = 10.0
NAMED = 20
"""Failures that are printed; all of them are in the file that the summary names."""
KEPT = 50
"""Files of failures that are kept."""


def index(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="a file or folder of documents")],
    collection: CollectionOption,
    recreate: Annotated[bool, typer.Option(help="build a new version beside the old one, then swap")] = False,
    no_questions: Annotated[bool, typer.Option("--no-questions", help="write no pseudo-questions")] = False,
    questions: Annotated[Path | None, typer.Option(help="recorded questions: JSON lines of text, questions")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="requests to the LLM at once")] = None,
    retry_failed: Annotated[bool, typer.Option(help="ask again for chunks that the LLM had no answer to")] = False,
    dry_run: Annotated[bool, typer.Option(help="say what would be done, and do nothing")] = False,
    as_json: JsonOption = False,
) -> None:
    """Index documents; what has not changed since the last time is not done again."""
    if no_questions and questions is not None:
        raise UsageError("--no-questions and --questions exclude each other.")
    if not path.exists():
        raise UsageError(f"There is no file or folder {path}.")
    chosen = load_settings(llm_concurrency=workers)
    writer = None if no_questions else build_writer(chosen, questions)
    if writer is None and not no_questions:
        err.print(
            "No language model is set (BOTHWAYS_LLM_BASE_URL): indexing without pseudo-questions. "
            "A later run with one adds them.",
            markup=False,
        )
    options = JobOptions(
        collection=collection,
        recreate=recreate,
        dry_run=dry_run,
        retry_failed=retry_failed,
        max_chars=chosen.chunk_max_chars,
        max_file_mb=chosen.max_file_mb,
        concurrency=chosen.llm_concurrency,
    )
    try:
        parts = build_parts(chosen, writer=writer)
        with _progress() as progress:
            report = index_path(path, options, parts, progress)
    finally:
        if writer is not None:
            writer.close()
    kept = _keep_failures(report, chosen)
    if as_json:
        print_json(report.as_dict())
    else:
        _summary(report, kept, dry_run=dry_run)
    if not report.succeeded:
        raise typer.Exit(1)


@contextmanager
def _progress() -> Iterator[Callable[[JobReport], None]]:
    """Show a live line on a terminal, and a plain line every ten seconds elsewhere."""
    if not err.is_terminal:
        last = time.monotonic()

        def log_line(report: JobReport) -> None:
            nonlocal last
            if time.monotonic() - last >= LOG_EVERY_S:
                last = time.monotonic()
                err.print(_counts(report))

        yield log_line
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda report: bar.update(task, description=_counts(report))


def _counts(report: JobReport) -> str:
    return (
        f"{report.documents:,} documents, {report.chunks:,} chunks read, {report.unchanged:,} unchanged, "
        f"{report.indexed:,} indexed, {len(report.failures) - report.refused:,} failed"
    )


def _keep_failures(report: JobReport, chosen: Settings) -> Path | None:
    """Keep all failures in a file: the terminal shows the first ones only."""
    if not report.failures:
        return None
    folder = chosen.cache_dir / "failures"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.collection}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    for old in sorted(folder.glob("*.json"))[:-KEPT]:
        old.unlink(missing_ok=True)
    path.write_text(json.dumps(report.as_dict()["failures"], ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def _summary(report: JobReport, kept: Path | None, *, dry_run: bool) -> None:
    for item, why in report.skipped[:NAMED]:
        err.print(printable(f"skipped {item}: {why}"), markup=False)
    if len(report.skipped) > NAMED:
        err.print(f"… and {len(report.skipped) - NAMED} more skipped")
    for failure in report.failures[:NAMED]:
        what = "no questions for" if failure.stage == "refuse" else f"failed ({failure.stage})"
        name = f"{failure.title} ({failure.item})" if failure.title else failure.item
        err.print(printable(f"{what} {name}: {failure.reason}"), markup=False)
    if len(report.failures) > NAMED:
        err.print(f"… and {len(report.failures) - NAMED} more")
    if dry_run:
        err.print(
            f"Would index {report.new:,} new and {report.changed:,} changed of {report.chunks:,} chunks "
            f"({report.documents:,} documents), with {report.llm_calls:,} calls of the language model."
        )
        return
    err.print(
        f"{report.documents:,} documents, {report.chunks:,} chunks: {report.indexed:,} indexed "
        f"({report.questions:,} questions; {report.llm_calls:,} calls of the language model, "
        f"{report.llm_cached:,} from the cache), {report.unchanged:,} unchanged, {report.removed:,} removed, "
        f"{len(report.failures) - report.refused:,} failed, in {report.seconds:.1f} s → {report.index}"
    )
    if report.documents == 0:
        err.print(
            "No document was found that can be read, so nothing was removed either; "
            "`bothways delete collection` empties a collection."
        )
    if kept:
        again = "" if report.refused == len(report.failures) else "; run the same command again to retry them"
        err.print(f"All failures are in {kept}{again}.", markup=False)
    if without := report.refused + report.refused_before:
        err.print(
            f"{without:,} chunks are indexed without questions, since there was no answer to them; "
            "--retry-failed asks again.",
            markup=False,
        )
    if report.held:
        err.print(
            f"The new version {report.index} is not in use yet, since {report.held}: mend that and run the same "
            "command again, it goes on where it stopped.",
            markup=False,
        )
