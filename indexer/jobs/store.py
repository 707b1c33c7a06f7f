"""The record of every indexing run: one document a job in Elasticsearch, to list, watch, cancel and retry by.

The record serves people. The work never depends on it: who may write a collection is decided by leases, and what is
left to do by the index itself.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from elasticsearch import ConflictError, Elasticsearch, NotFoundError

from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.elastic.mappings import create_from
from bothways.core.errors import JobNotFoundError, JobStateError
from bothways.core.machine.holder import Holder
from bothways.indexer.report import JobReport
from bothways.schemas.names import ENDED, JobKind, JobState

INDEX = "bothways-jobs"
NAMED = 50
"""Failures, and skipped files, that a record names; the others are counted."""
KEEP_DAYS = 90
"""Days after which the records of ended jobs are removed, when a new one is made."""
LOST_AFTER_S = 60.0
"""A running job whose record was not written for so long is lost."""


_ID = re.compile(r"[0-9a-z-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run, as its record has it.

    `kind`: "path" for a file or folder of the command line, "upload" for files that came over HTTP. `source` is the
    path, or "" for an upload, whose `files` are named. `failures` has the first ones as `{item, stage, reason, title}`,
    `counts["failures"]` all. `error` says why a job failed, was cancelled or lost. Times are ISO 8601 in UTC.
    """

    id: str
    collection: str
    kind: JobKind = "path"
    state: JobState = "queued"
    holder: Holder = field(default_factory=Holder.here)
    source: str = ""
    files: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    index: str = ""
    counts: Mapping[str, int | float] = field(default_factory=dict)
    failures: Sequence[Mapping[str, str]] = ()
    skipped: Sequence[Sequence[str]] = ()
    error: str = ""
    held: str = ""
    cancel_requested: bool = False
    retry_of: str | None = None
    created: str = ""
    started: str | None = None
    heartbeat: str | None = None
    finished: str | None = None
    seconds: float = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether the job has ended."""
        return self.state in ENDED


def new_id(now: float | None = None) -> str:
    """Make the id of a job: its time in UTC, so that ids sort by age, and chance."""
    at = datetime.fromtimestamp(time.time() if now is None else now, UTC)
    return f"{at:%Y%m%d-%H%M%S}-{at.microsecond // 1000:03d}{secrets.token_hex(3)}"


def is_id(text: str) -> bool:
    """Return whether a text can be the id of a job."""
    return _ID.fullmatch(text) is not None


def report_fields(report: JobReport) -> dict[str, Any]:
    """Return the fields of a record that come from a report: its numbers, the first failures and skipped files."""
    numbers = {name: value for name, value in report.as_dict().items() if isinstance(value, int | float)}
    numbers.pop("seconds", None)
    # The job goes on in another thread meanwhile; slices are copies.
    failures = report.failures[:NAMED]
    lengths = {"failures": len(report.failures), "refused": report.refused, "skipped": len(report.skipped)}
    return {
        "index": report.index,
        "counts": numbers | lengths,
        "failures": [asdict(failure) for failure in failures],
        "skipped": [list(pair) for pair in report.skipped[:NAMED]],
        "held": report.held,
    }


class JobStore:
    """The records of one Elasticsearch. Every method may raise `ElasticsearchError`. `clock`: seconds since 1970."""

    def __init__(self, client: Elasticsearch, *, index: str = INDEX, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._index = index
        self._clock = clock

    def now(self) -> str:
        """Return the time as records have it."""
        return self._at(self._clock())

    def create(self, job: Job) -> Job:
        """Write the record of a new job, and remove those that are too old."""
        create_from(self._client, "jobs.json", self._index)
        job = _replaced(job, created=job.started or self.now())
        with elasticsearch_errors("recording the job"):
            try:
                self._client.index(index=self._index, id=job.id, document=asdict(job), op_type="create", refresh=True)
            except ConflictError:
                # Ids are never used twice: it is there, and the answer that said so was lost.
                self._client.update(index=self._index, id=job.id, doc=asdict(job), refresh=True)
            old = {"range": {"finished": {"lt": self._at(self._clock() - KEEP_DAYS * 86_400)}}}
            self._client.delete_by_query(index=self._index, query=old, conflicts="proceed")
        return job

    def get(self, job_id: str) -> Job:
        """Read one record as of this moment; raises `JobNotFoundError`."""
        return self._read(job_id)[0]

    def find(
        self, *, collection: str | None = None, state: JobState | None = None, size: int = 20, skip: int = 0
    ) -> tuple[list[Job], int]:
        """List records, newest first, and count all that match; jobs that no longer respond are marked as lost."""
        self._mark_lost()
        terms = {"collection": collection, "state": state}
        filters = [{"term": {name: value}} for name, value in terms.items() if value is not None]
        return self._search({"bool": {"filter": filters}}, size=size, skip=skip)

    def update(self, job_id: str, *, refresh: bool = False, **changes: Any) -> bool:  # noqa: ANN401 – fields of Job
        """Change fields of a record; returns whether somebody wishes the job cancelled."""
        with elasticsearch_errors("recording the job"):
            try:
                done = self._client.update(
                    index=self._index,
                    id=job_id,
                    doc=changes,
                    source_includes=["cancel_requested"],
                    retry_on_conflict=5,
                    refresh=refresh,
                )
            except NotFoundError as error:
                raise _unknown(job_id) from error
        return bool(done["get"]["_source"].get("cancel_requested"))

    def cancel(self, job_id: str) -> Job:
        """Cancel a job: one that waits at once, one that runs at its next heartbeat; raises `JobStateError`."""
        while True:
            job, version = self._read(job_id)
            if job.has_ended and job.state != "lost":
                raise JobStateError(f"The job {job_id} is {job.state} already; there is nothing to cancel.")
            changes: dict[str, Any] = {"cancel_requested": True}
            if job.state != "running":
                changes |= {"state": "cancelled", "finished": self.now(), "error": "It was cancelled before it ran."}
            if self._write_if(job_id, version, changes):
                return self.get(job_id)

    def queued_uploads(self) -> list[Job]:
        """List the uploads that wait, newest first; of very many the newest."""
        filters = [{"term": {"state": "queued"}}, {"term": {"kind": "upload"}}]
        return self._search({"bool": {"filter": filters}}, size=1000)[0]

    def lose_queued(self, job_id: str, why: str, *, unless: Callable[[], bool]) -> bool:
        """Mark a job that is still queued as lost, unless `unless` says no; return whether it was marked.

        `unless` is asked between reading and writing, and a record that somebody has changed meanwhile is left alone.
        """
        job, version = self._read(job_id)
        if job.state != "queued" or unless():
            return False
        return self._write_if(job_id, version, {"state": "lost", "error": why, "finished": self.now()})

    def end(self, job_id: str, state: JobState, *, error: str = "", **changes: Any) -> None:  # noqa: ANN401
        """Record how a job ended."""
        self.update(job_id, refresh=True, state=state, error=error, finished=self.now(), **changes)

    def _read(self, job_id: str) -> tuple[Job, dict[str, int]]:
        if not is_id(job_id):
            raise _unknown(job_id)
        with elasticsearch_errors("reading the job"):
            try:
                response = self._client.get(index=self._index, id=job_id)
            except NotFoundError as error:
                raise _unknown(job_id) from error
        job = _from_source(response["_source"])
        if self._is_lost(job):
            job = _replaced(job, state="lost")
        return job, {"if_seq_no": response["_seq_no"], "if_primary_term": response["_primary_term"]}

    def _write_if(self, job_id: str, version: Mapping[str, int], changes: Mapping[str, Any]) -> bool:
        with elasticsearch_errors("recording the job"):
            try:
                self._client.update(index=self._index, id=job_id, doc=changes, refresh=True, **version)  # type: ignore[arg-type]
            except ConflictError:
                return False
        return True

    def _search(self, query: dict[str, Any], *, size: int, skip: int = 0) -> tuple[list[Job], int]:
        order = [{"created": "desc"}, {"id": "desc"}]
        with elasticsearch_errors("listing the jobs"):
            try:
                response = self._client.search(
                    index=self._index, query=query, sort=order, size=size, from_=skip, track_total_hits=True
                )
            except NotFoundError:
                return [], 0
        hits = response["hits"]
        return [_from_source(hit["_source"]) for hit in hits["hits"]], int(hits["total"]["value"])

    def _mark_lost(self) -> None:
        unended, _ = self._search({"terms": {"state": ["running", "queued"]}}, size=1000)
        for job in unended:
            if self._is_lost(job):
                _, version = self._read(job.id)
                why = f"{job.holder.who} has not responded since {job.heartbeat or job.created}."
                self._write_if(job.id, version, {"state": "lost", "error": why})

    def _is_lost(self, job: Job) -> bool:
        """Return whether the process of a job is gone; an upload that waits is in a folder and needs none."""
        if job.state != "running" and (job.state, job.kind) != ("queued", "path"):
            return False
        silent_since = self._at(self._clock() - LOST_AFTER_S)
        return (job.heartbeat or job.created) < silent_since or job.holder.is_known_dead()

    @staticmethod
    def _at(seconds: float) -> str:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _replaced(job: Job, **changes: Any) -> Job:  # noqa: ANN401 – fields of Job
    return Job(**({item.name: getattr(job, item.name) for item in fields(Job)} | changes))


def _from_source(source: Mapping[str, Any]) -> Job:
    known = {item.name for item in fields(Job)}
    read = {name: value for name, value in source.items() if name in known}
    return Job(**(read | {"holder": Holder.from_dict(source["holder"])}))


def _unknown(job_id: str) -> JobNotFoundError:
    return JobNotFoundError(f"There is no job {job_id[:80]!r}; see `bothways jobs`.")
