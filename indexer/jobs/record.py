"""Keeping the record of a running job: written every half second, and read to see whether it is cancelled.

The record serves people; the work does not depend on it. Where it cannot be written there is one warning, and the job
goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import structlog

from bothways.core.elastic.repeat import Repeat
from bothways.core.errors import (
    BothwaysError,
    ElasticsearchError,
    JobCancelledError,
    JobInterruptedError,
    JobNotFoundError,
    LeaseLostError,
)
from bothways.core.machine.holder import Holder
from bothways.indexer.jobs.store import Job, JobStore, report_fields
from bothways.indexer.report import JobReport
from bothways.schemas.names import JobState

log = structlog.get_logger()

EVERY_S = 0.5
"""How often a running job writes its record, and looks whether it is to be cancelled."""


@dataclass(frozen=True, slots=True)
class Stop:
    """How others end a job: `cancelled` by a user, `interrupted` when its process is told to end."""

    cancelled: threading.Event = field(default_factory=threading.Event)
    interrupted: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise `JobCancelledError` or `JobInterruptedError` when the job is to end."""
        if self.cancelled.is_set():
            raise JobCancelledError("The job was cancelled; what it had indexed stays.")
        if self.interrupted.is_set():
            raise JobInterruptedError(
                "The process that runs the job was told to end; the job continues when it starts again."
            )


class JobRecord:
    """The record of one job that this process runs. It shows `report`; when somebody cancels the job, `stop` is set."""

    def __init__(self, store: JobStore, job: Job, stop: Stop, *, every_s: float = EVERY_S) -> None:
        self.job = job
        self.report: JobReport | None = None
        self._store = store
        self._stop = stop
        self._every_s = every_s
        self._exists = bool(job.created)
        self._has_warned = False
        self._started = time.monotonic()

    def queue(self) -> None:
        """Write that the job waits, and see whether it is cancelled."""
        self._change(state="queued", heartbeat=self._store.now())
        self._stop.check()

    def wait(self, seconds: float) -> None:
        """Let time pass, unless the job is cancelled meanwhile."""
        self._stop.cancelled.wait(seconds)
        self._stop.check()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the record while the job runs, and write how it ended; the report is to be there by then."""
        self._begin()
        try:
            with Repeat(self._beat, every_s=self._every_s, name=f"record of {self.job.id}"):
                yield
        except JobInterruptedError:
            self._change(state="queued")
            raise
        except BaseException as error:
            self._end(*_told_of(error))
            raise
        why = _why_failed(self.report)
        self._end("failed" if why else "done", why)

    def ended(self, state: JobState, why: str) -> None:
        """Write how a job ended that never ran."""
        self._end(state, why)

    def say_lost(self, other: str, holder: Holder) -> None:
        """Mark the job whose lease this one took over as lost."""

        def mark() -> None:
            if self._store.get(other).state in {"running", "lost"}:
                self._store.end(other, "lost", error=f"{holder.who} has stopped responding.")

        self._tolerantly(mark)

    def _begin(self) -> None:
        self._started = time.monotonic()
        now = self._store.now()
        running = {"state": "running", "started": now, "heartbeat": now}
        if not self._exists:
            self._create(**running)
        else:
            self._change(refresh=True, holder=asdict(Holder.here()), error="", finished=None, **running)

    def _beat(self) -> None:
        self._change(state="running", heartbeat=self._store.now(), **self._told())

    def _end(self, state: JobState, why: str) -> None:
        if not self._exists:
            self._create(state=state, error=why, finished=self._store.now(), **self._told())
            return
        self._tolerantly(lambda: self._store.end(self.job.id, state, error=why, **self._told()))

    def _told(self) -> dict[str, Any]:
        seconds = round(time.monotonic() - self._started, 3)
        return {"seconds": seconds, **(report_fields(self.report) if self.report is not None else {})}

    def _create(self, **changes: Any) -> None:  # noqa: ANN401 – fields of Job
        def create() -> None:
            self.job = self._store.create(replace(self.job, **changes))
            self._exists = True

        self._tolerantly(create)

    def _change(self, *, refresh: bool = False, **changes: Any) -> None:  # noqa: ANN401 – fields of Job
        if not self._exists:
            self._create(**changes)  # Elasticsearch was away when it was tried first
            return

        def change() -> None:
            if self._store.update(self.job.id, refresh=refresh, **changes):
                self._stop.cancelled.set()

        self._tolerantly(change)

    def _tolerantly(self, write: Callable[[], None]) -> None:
        try:
            write()
        except (ElasticsearchError, JobNotFoundError) as error:
            if not self._has_warned:
                log.warning("job_not_recorded", job=self.job.id, reason=str(error), instead="the job goes on")
            self._has_warned = True


def _told_of(error: BaseException) -> tuple[JobState, str]:
    """Return the state and the reason of a job that ended with an error."""
    if isinstance(error, KeyboardInterrupt):
        return "cancelled", "It was interrupted; run it again to continue."
    if isinstance(error, JobCancelledError):
        return "cancelled", str(error)
    if isinstance(error, LeaseLostError):
        return "lost", str(error)
    return "failed", str(error) if isinstance(error, BothwaysError) else f"{type(error).__name__}: {error}"


def _why_failed(report: JobReport | None) -> str:
    """Return in a sentence why a job that ran to its end did not succeed; "" if it did."""
    if report is None or report.succeeded:
        return ""
    if report.documents == 0:
        return "No readable document was found."
    if report.held:
        return f"The new version {report.index} is not in use yet, because {report.held}."
    failed = len(report.failures) - report.refused
    if failed:
        return f"Items that failed: {failed:,}."
    return "The language model refused every chunk: check its settings."
