"""An indexing job as others see it: alone on its collection, recorded, and stopped on request.

`index_path` does the work and knows nothing of this: here are the lease around it, its record, and the check between
its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from bothways.core.collections.collection import alias_of
from bothways.core.collections.lease import lease_name
from bothways.core.elastic.lease import Lease, Leases
from bothways.core.errors import LeaseHeldError
from bothways.indexer.job import index_path
from bothways.indexer.jobs.outage import Patience, through_outages
from bothways.indexer.jobs.record import EVERY_S, JobRecord, Stop
from bothways.indexer.jobs.store import Job, JobStore
from bothways.indexer.parts import JobOptions, Parts
from bothways.indexer.report import JobReport
from bothways.indexer.versions.publish import live_version
from bothways.indexer.write import Progress, Write, write

LOOK_AGAIN_S = 2.0
"""How often a job that waits for its collection looks whether it is free."""

BRIEF_S = 10.0
"""Seconds after which a request for a record or a lease is given up, so that one that hangs delays no job."""

_AT_ONCE = Patience()

_NOT_RECORDED = frozenset({"collection", "dry_run"})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRegistry:
    """The records of jobs, the leases of collections, and how often both are looked at, in seconds."""

    store: JobStore
    leases: Leases
    record_every_s: float = EVERY_S
    look_again_s: float = LOOK_AGAIN_S


def open_registry(client: Elasticsearch) -> JobRegistry:
    """Return the registry of an Elasticsearch; its requests are short and never repeated."""
    brief = client.options(request_timeout=BRIEF_S, max_retries=0)
    return JobRegistry(store=JobStore(brief), leases=Leases(brief))


def run_job(
    path: Path,
    options: JobOptions,
    parts: Parts,
    job: Job,
    registry: JobRegistry,
    *,
    wait: bool = False,
    stop: Stop | None = None,
    patience: Patience = _AT_ONCE,
    write_chunks: Write = write,
    on_wait: Callable[[LeaseHeldError], None] = lambda _: None,
    progress: Progress = lambda _: None,
) -> JobReport:
    """Run one job under the lease of its collection, and keep its record.

    Without `wait`, a collection that another job holds is a `LeaseHeldError` at once, which leaves no record; with it,
    `on_wait` is called once. While Elasticsearch is away the job waits as long as its `patience` lasts. `write_chunks`
    may share the work (indexer/workers/workers.py). A dry run writes nothing, so it needs neither lease nor record.
    Raises what `index_path` raises, and a `JobStoppedError` when it is cancelled, interrupted, or has lost its lease.
    """
    if options.dry_run:
        return index_path(path, options, parts, progress)
    alias_of(options.collection)
    stop = stop or Stop()
    record = JobRecord(registry.store, job, stop, every_s=registry.record_every_s)
    with _leased(record, registry, wait=wait, patience=patience, on_wait=on_wait) as lease, record.kept():

        def step(report: JobReport) -> None:
            record.report = report
            stop.check()
            lease.check()
            progress(report)

        record.report = _patiently(
            path, options, parts, record, patience=patience, step=step, write_chunks=write_chunks
        )
        return record.report


def _patiently(
    path: Path,
    options: JobOptions,
    parts: Parts,
    record: JobRecord,
    *,
    patience: Patience,
    step: Progress,
    write_chunks: Write,
) -> JobReport:
    """Index a path, and begin again after each outage of Elasticsearch; the report covers all attempts."""
    ended: list[JobReport] = []

    def attempt() -> JobReport:
        # A rebuild that searches went to just before the outage is done: it is brought up to date, not built again.
        is_live = bool(ended) and ended[-1].index != "" and live_version(options, parts) == ended[-1].index
        now = replace(options, recreate=False) if is_live else options
        return index_path(path, now, parts, step, write_chunks=write_chunks)

    def again() -> None:
        if record.report is not None:
            ended.append(record.report)
            record.report = None

    report = through_outages(
        attempt,
        patience,
        has_got_on=lambda: record.report is not None and record.report.indexed > 0,
        pause=record.wait,
        again=again,
    )
    for earlier in ended:
        report.add_attempt(earlier)
    return report


def recorded_options(options: JobOptions, **more: Any) -> dict[str, Any]:  # noqa: ANN401 – JSON
    """Return the options of a job as its record keeps them, to be retried with; `more` goes beside them."""
    return {name: value for name, value in asdict(options).items() if name not in _NOT_RECORDED} | more


def options_of(job: Job) -> JobOptions:
    """Return back the options that a job was run with."""
    known = {field.name for field in fields(JobOptions)} - _NOT_RECORDED
    values = {name: value for name, value in job.options.items() if name in known}
    # JSON has no tuples.
    as_were: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in values.items()}
    return JobOptions(collection=job.collection, **as_were)


@contextmanager
def _leased(
    record: JobRecord,
    registry: JobRegistry,
    *,
    wait: bool,
    patience: Patience,
    on_wait: Callable[[LeaseHeldError], None],
) -> Iterator[Lease]:
    """Hold the lease of the job's collection; with `wait`, wait for it. Waits for Elasticsearch in any case."""
    lease = through_outages(
        lambda: _take(record, registry, wait=wait, on_wait=on_wait),
        patience,
        has_got_on=lambda: False,
        pause=record.wait,
    )
    with lease.kept():
        dead = lease.taken_from
        if dead is not None and dead.note not in {"", record.job.id}:
            record.say_lost(dead.note, dead.holder)
        yield lease


def _take(record: JobRecord, registry: JobRegistry, *, wait: bool, on_wait: Callable[[LeaseHeldError], None]) -> Lease:
    tell = on_wait
    while True:
        try:
            return registry.leases.acquire(lease_name(record.job.collection), note=record.job.id, watch=not wait)
        except LeaseHeldError as error:
            if not wait:
                raise LeaseHeldError(_busy(error), who=error.who, note=error.note) from error
            _wait(record, registry, error, tell)
            tell = _nobody


def _wait(
    record: JobRecord, registry: JobRegistry, held: LeaseHeldError, tell: Callable[[LeaseHeldError], None]
) -> None:
    try:
        record.queue()
        tell(held)
        record.wait(registry.look_again_s)
    except BaseException as error:
        record.ended("cancelled", str(error) or "It was interrupted while it waited.")
        raise


def _nobody(_: LeaseHeldError) -> None:
    """Do nothing: waiting is announced once."""


def _busy(error: LeaseHeldError) -> str:
    shown = f", see `bothways jobs show {error.note}`," if error.note else ""
    return f"{error} Only one job at a time can write a collection{shown}: --wait runs this one afterwards."
