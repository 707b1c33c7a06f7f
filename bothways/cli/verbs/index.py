"""`bothways index`: a file or folder into a collection, with progress, a summary, and every failure named."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bothways.cli.ending import ended_by_sigterm
from bothways.cli.options import CollectionOption, JsonOption
from bothways.cli.outages import patience_of
from bothways.cli.output import err, print_json, printable
from bothways.cli.workers import Engine, LocalHelpers, environment_of, shared, writing
from bothways.core.datatypes import ChunkerName
from bothways.core.errors import LeaseHeldError, UsageError
from bothways.core.machine.private_files import private_folder, write_private
from bothways.core.settings import Settings, load_settings
from bothways.indexer.build import build_parts, build_writer, default_job_options
from bothways.indexer.doc2query.question_writer import TOKENS_A_QUESTION
from bothways.indexer.jobs.store import Job, new_id
from bothways.indexer.report import JobReport
from bothways.indexer.run import open_registry, recorded_options, run_job
from bothways.indexer.versions.acl import checked

LOG_EVERY_S = 10.0
NAMED = 20
"""Failures that are printed; all of them are in the file that the summary names."""
KEPT = 50
"""Files of failures that are kept."""
_NOT_REPEATED = frozenset({"path", "collection", "dry_run", "as_json", "retry_of"})
"""What a retry says for itself, or not at all."""


def index(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="a file or folder of documents")],
    collection: CollectionOption,
    recreate: Annotated[
        bool, typer.Option("--recreate", help="build a new version beside the old one, then search the new one")
    ] = False,
    no_questions: Annotated[bool, typer.Option("--no-questions", help="index without pseudo-questions")] = False,
    questions: Annotated[
        Path | None, typer.Option(help="JSON lines with `text` and `questions`, instead of a language model")
    ] = None,
    chunker: Annotated[ChunkerName | None, typer.Option(help="where documents are cut into chunks")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="processes that share the job; more can `jobs join` it")
    ] = None,
    engine: Annotated[Engine, typer.Option(help="where the workers run")] = "local",
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=256, help="requests to the language model at once")
    ] = None,
    filter_questions: Annotated[
        Literal["none", "round-trip", "cross-encoder"] | None,
        typer.Option(help="drop questions that do not find their own chunk"),
    ] = None,
    filter_top_k: Annotated[
        int | None, typer.Option(help="round-trip: keep questions that find their chunk among the first N")
    ] = None,
    filter_min_score: Annotated[
        float | None, typer.Option(help="cross-encoder: keep questions with at least this score (a logit)")
    ] = None,
    acl_field: Annotated[
        str | None,
        typer.Option(help="metadata field with access groups; keys outside these groups cannot see the document"),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="ask again for chunks that the language model had no answer to")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be done")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="with --recreate: drop what was indexed from other folders")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="wait while another job writes the collection")] = False,
    as_json: JsonOption = False,
    retry_of: Annotated[str | None, typer.Option(hidden=True, help="the job that this one retries")] = None,
) -> None:
    """Index a file or folder; only what changed since the last time is done."""
    if no_questions and questions is not None:
        raise UsageError("--no-questions and --questions exclude each other.")
    if not path.exists():
        raise UsageError(f"There is no file or folder {path}.")
    chosen = load_settings(
        llm_concurrency=concurrency,
        chunker=chunker,
        filter_questions=filter_questions,
        filter_top_k=filter_top_k,
        filter_min_score=filter_min_score,
    )
    if engine == "local":
        chosen = shared(chosen, workers or 1)
    writer = None if no_questions else build_writer(chosen, questions)
    if writer is None and not no_questions:
        err.print(
            "No language model is set (BOTHWAYS_LLM_BASE_URL): indexing without pseudo-questions. "
            "A later run with one adds them.",
            markup=False,
        )
    options = replace(
        default_job_options(chosen, collection),
        recreate=recreate,
        dry_run=dry_run,
        retry_failed=retry_failed,
        without_others=yes,
        acl_field=checked(acl_field) if acl_field is not None else "",
    )
    is_shared = {} if workers is None and engine == "local" else {"workers": workers or 1, "engine": engine}
    words = recorded_options(options, words=typed_words(ctx), **is_shared)
    job = Job(
        id=new_id(), collection=collection, source=str(path.expanduser().resolve()), options=words, retry_of=retry_of
    )
    asked = "none" if writer is None else "model" if questions is None else str(questions.expanduser().resolve())
    helpers = LocalHelpers(job=job.id, most=(workers or 1) - 1, environment=environment_of(chosen))
    try:
        write_chunks = writing(chosen, helpers, collection=collection, questions=asked, workers=workers, engine=engine)
        parts = build_parts(chosen, writer=writer)
        with _progress() as progress, ended_by_sigterm(), helpers:
            report = run_job(
                path,
                options,
                parts,
                job,
                open_registry(parts.client),
                wait=wait,
                patience=patience_of(chosen),
                write_chunks=write_chunks,
                on_wait=_say_waiting,
                progress=progress,
            )
    finally:
        if writer is not None:
            writer.close()
    kept = _keep_failures(report, chosen)
    if as_json:
        print_json(report.as_dict() | {"job": None if dry_run else job.id})
    else:
        _summary(report, kept, dry_run=dry_run)
    if not report.succeeded:
        raise typer.Exit(1)


def typed_words(ctx: typer.Context) -> list[str]:
    """Return the options that were typed, as words, for the record: what a retry has to repeat, and paths in full."""
    words: list[str] = []
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name or "")
        if source is None or source.name != "COMMANDLINE" or parameter.name in _NOT_REPEATED:
            continue
        value = ctx.params[parameter.name or ""]
        if isinstance(value, bool):
            words.append((parameter.opts if value else parameter.secondary_opts)[0])
        else:
            words += [parameter.opts[0], str(value.expanduser().resolve() if isinstance(value, Path) else value)]
    return words


def _say_waiting(error: LeaseHeldError) -> None:
    err.print(f"Waiting: {error}", markup=False)


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
    private_folder(folder)
    path = folder / f"{report.collection}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    for old in sorted(folder.glob("*.json"))[:-KEPT]:
        old.unlink(missing_ok=True)
    write_private(path, json.dumps(report.as_dict()["failures"], ensure_ascii=False, indent=1))
    return path


def _tokens(report: JobReport, about: str = "") -> str:
    """Return what the calls took, as in " (1,200 + 300 tokens, cost 0.0021)"; nothing where there were none."""
    known = report.llm_prompt_tokens + report.llm_completion_tokens
    if not known:
        return " (tokens unknown)" if report.llm_uncounted else ""
    said = f"{about}{report.llm_prompt_tokens:,} + {report.llm_completion_tokens:,} tokens"
    if report.llm_uncounted:
        said += f" and {report.llm_uncounted:,} answers without a count"
    return f" ({said}, cost {report.llm_cost:.4g})" if report.llm_cost is not None else f" ({said})"


def _problems(report: JobReport) -> None:
    """Name the first of what was skipped and of what failed."""
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


def _how(report: JobReport) -> None:
    """Say what was particular about the way to the numbers."""
    if report.filter:
        err.print(
            f"The filter {report.filter} dropped {report.filter_dropped:,} of {report.filter_questions:,} questions.",
            markup=False,
        )
    if report.outages:
        err.print(f"Elasticsearch was away, and the job began again for what was left: {report.outages:,} times.")
    if report.reused:
        err.print(
            f"Of the indexed chunks {report.reused:,} have a text that was known, as of a renamed file: "
            "their vectors and questions were taken over."
        )


def _summary(report: JobReport, kept: Path | None, *, dry_run: bool) -> None:
    _problems(report)
    if dry_run:
        err.print(
            f"Would index {report.new:,} new and {report.changed:,} changed of {report.chunks:,} chunks "
            f"({report.documents:,} documents), with {report.llm_calls:,} calls of the language model"
            f"{_tokens(report, 'about ')}."
        )
        if report.llm_calls:
            err.print(
                "Tokens are an estimate: a token for each Chinese character of the prompts and for four others, and "
                f"{TOKENS_A_QUESTION} for each question."
            )
        return
    err.print(
        f"{report.documents:,} documents, {report.chunks:,} chunks: {report.indexed:,} indexed "
        f"({report.questions:,} questions; {report.llm_calls:,} calls of the language model{_tokens(report)}, "
        f"{report.llm_cached:,} from the cache), {report.unchanged:,} unchanged, {report.removed:,} removed, "
        f"{len(report.failures) - report.refused:,} failed, in {report.seconds:.1f} s → {report.index}"
    )
    _how(report)
    if report.kept:
        err.print(f"{report.kept:,} chunks of uploaded documents were taken over into the new version.")
    if report.documents == 0:
        err.print(
            "No document was found that can be read, so nothing was removed either; "
            "`bothways delete {report.collection}` deletes the collection."
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
            f"The new version {report.index} is not in use yet, because {report.held}. The version before "
            "is searched as it was; run the same command again when that is mended.",
            markup=False,
        )
