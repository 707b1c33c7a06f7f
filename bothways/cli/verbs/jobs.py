"""`bothways jobs`: list, show, watch, cancel, retry and join indexing jobs."""

from __future__ import annotations

import time
from typing import Annotated, NoReturn

import typer
from rich import box
from rich.table import Column, Table

from bothways.cli.ending import ended_by_sigterm
from bothways.cli.options import JsonOption
from bothways.cli.outages import patience_of
from bothways.cli.output import err, out, plain, print_json, printable
from bothways.cli.workers import LocalHelpers, environment_of, shared
from bothways.core.settings import Settings, settings
from bothways.indexer.build import default_job_options, open_parts, parts_for_order
from bothways.indexer.jobs.store import Job, JobStore, new_id
from bothways.indexer.run import open_registry
from bothways.indexer.uploads.queue import Uploads, require_retryable
from bothways.indexer.uploads.spool import Spool
from bothways.indexer.workers.shards import Shards
from bothways.indexer.workers.workers import Worker
from bothways.node.connect import connect
from bothways.schemas import jobs as shown
from bothways.schemas.names import JobState

LOOK_EVERY_S = 1.0

JobId = Annotated[str, typer.Argument(metavar="ID", help="the job's id")]


def list_jobs(
    collection: Annotated[str | None, typer.Option("--collection", "-c", help="only jobs on this collection")] = None,
    state: Annotated[JobState | None, typer.Option(help="only jobs in this state")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="how many")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first."""
    found, total = _store().find(collection=collection, state=state, size=limit)
    if as_json:
        print_json(shown.JobList(total=total, jobs=[shown.Job.model_validate(job) for job in found]))
        return
    # An id that is cut off cannot be typed; on a narrow terminal only the collection and its source are folded.
    whole = Column("job", no_wrap=True, min_width=len(new_id())), Column("state", no_wrap=True, min_width=9)
    numbers = (Column(name, no_wrap=True, min_width=len(name), justify="right") for name in ("indexed", "failed", "s"))
    table = Table(*whole, Column("collection ← source", overflow="fold"), *numbers, box=box.SIMPLE_HEAD)
    for job in found:
        failed = job.counts.get("failures", 0) - job.counts.get("refused", 0)
        what = plain(f"{job.collection} ← {_source(job)}")
        table.add_row(
            job.id, job.state, what, f"{job.counts.get('indexed', 0):,}", f"{failed:,}", f"{job.seconds:,.0f}"
        )
    out.print(table)
    if total > len(found):
        err.print(f"{total - len(found):,} older ones: --limit.")


def show(
    job_id: JobId,
    watch: Annotated[bool, typer.Option("--watch", help="wait for its end; exit code 1 if it did not succeed")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a job and what failed in it; --watch follows it until it ends.

    Ctrl-C ends the watching, not the job.
    """
    store = _store()
    job = store.get(job_id)
    said = ""
    while watch and not job.has_ended:
        line = f"{job.state}: {_counts(job)}"
        if line != said:
            err.print(line)
            said = line
        time.sleep(LOOK_EVERY_S)
        job = store.get(job_id)
    _show(job, as_json=as_json)
    if watch and job.state != "done":
        raise typer.Exit(1)


def cancel(job_id: JobId, as_json: JsonOption = False) -> None:
    """Cancel a job; what it has indexed stays.

    A waiting job ends at once, a running one within seconds.
    """
    job = _store().cancel(job_id)
    if as_json:
        print_json(shown.Job.model_validate(job))
    elif job.state == "cancelled":
        err.print(f"The job {job_id} is cancelled.")
    else:
        err.print(
            f"The job {job_id} is told to end; `bothways jobs show {job_id} --watch` shows when it has.", markup=False
        )


def join(
    job_id: JobId,
    workers: Annotated[int, typer.Option(min=1, max=256, help="how many processes on this machine help")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Help with a job that was started with --workers, on this or another machine."""
    chosen = shared(settings(), workers)
    client, _ = connect(chosen)
    registry = open_registry(client)
    worker = Worker(
        shards=Shards(client, registry.leases),
        store=registry.store,
        parts_for=lambda order: parts_for_order(chosen, order.questions),
        patience=patience_of(chosen),
    )
    with ended_by_sigterm(), LocalHelpers(job=job_id, most=workers - 1, environment=environment_of(chosen)) as helpers:
        helpers.want(workers - 1)
        job = worker.help(job_id)
    if as_json:
        print_json({"job": job.id, "state": job.state, "shards": worker.shards_done, "chunks": worker.chunks_done})
    else:
        done = f"{worker.chunks_done:,} chunks in {worker.shards_done:,} shards"
        err.print(f"The job {job.id} is {job.state}; this process did {done} of it.", markup=False)


def retry(ctx: typer.Context, job_id: JobId, as_json: JsonOption = False) -> None:
    """Run a job that did not succeed again, with the same options."""
    job = _store().get(job_id)
    require_retryable(job)
    if job.kind == "upload":
        _retry_upload(job, settings(), as_json=as_json)
    words = ["index", job.source, "--collection", job.collection, "--retry-of", job.id, *job.options.get("words", ())]
    code = ctx.find_root().command.main(args=[*words, *(["--json"] if as_json else [])], standalone_mode=False)
    raise typer.Exit(code or 0)


def _retry_upload(job: Job, chosen: Settings, *, as_json: bool) -> NoReturn:
    """Queue the files again and run what waits for their collection here, unless a server of this machine is at it."""
    client, _ = connect(chosen)
    registry = open_registry(client)
    uploads = Uploads(
        Spool(chosen.cache_dir / "uploads"),
        registry=lambda: registry,
        parts=lambda: open_parts(chosen),
        options=default_job_options(chosen, job.collection),
    )
    new = uploads.retry(job, start=False)
    uploads.run_waiting(job.collection)
    ended = registry.store.get(new.id)
    _show(ended, as_json=as_json)
    raise typer.Exit(1 if ended.state in {"failed", "cancelled", "lost"} else 0)


def _store() -> JobStore:
    client, _ = connect(settings())
    return open_registry(client).store


def _source(job: Job) -> str:
    if job.kind == "path":
        return job.source
    more = f" and {len(job.files) - 1:,} more" if len(job.files) > 1 else ""
    return f"upload of {job.files[0]}{more}" if job.files else "upload"


def _counts(job: Job) -> str:
    names = ("documents", "chunks", "unchanged", "indexed", "removed", "failures")
    return ", ".join(f"{job.counts.get(name, 0):,} {name}" for name in names)


def _show(job: Job, *, as_json: bool) -> None:
    if as_json:
        print_json(shown.Job.model_validate(job))
        return
    table = Table(show_header=False, box=None)
    rows = {
        "job": job.id,
        "state": job.state,
        "why": job.error,
        "collection": f"{job.collection} → {job.index}" if job.index else job.collection,
        "source": _source(job),
        "options": " ".join(job.options.get("words", ())),
        "who": job.holder.who,
        "retry of": job.retry_of or "",
        "created": job.created,
        "started": job.started or "",
        "last heard of": job.heartbeat or "",
        "finished": job.finished or "",
        "counts": _counts(job),
        "seconds": f"{job.seconds:.1f}",
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, plain(value))
    out.print(table)
    for failure in job.failures:
        what = f"{failure['stage']}: {failure['item']}: {failure['reason']}"
        out.print(printable(what), markup=False)
    for item, why in job.skipped:
        out.print(printable(f"skipped {item}: {why}"), markup=False)
    if (left := int(job.counts.get("failures", 0)) - len(job.failures)) > 0:
        out.print(f"… and {left:,} more failures, counted only")
