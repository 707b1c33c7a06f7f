"""Uploads as jobs: received, recorded, then indexed one after another in a thread of the server.

The queue is the spool on disk, so a server that starts again goes on with what the one before left. Several servers on
one machine share it: a file lock lets one of them work at a time. Uploads to one collection run in the order in which
they came; where another job holds the collection, those to other collections go first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Literal

import structlog
from filelock import FileLock, Timeout

from core.collection import alias_of
from core.errors import (
    BothwaysError,
    ElasticsearchUnavailableError,
    JobInterruptedError,
    JobNotFoundError,
    JobStateError,
    LeaseHeldError,
    LeaseLostError,
    StorageFullError,
    UsageError,
)
from indexer.acl import checked
from indexer.jobs import Job, new_id
from indexer.parts import UPLOADED, JobOptions, Parts
from indexer.read import READERS
from indexer.read.other import not_read
from indexer.record import JobRecord, Stop
from indexer.run import Desk, options_of, recorded_options, run_job
from indexer.spool import Spool, Upload

log = structlog.get_logger()

ORIGIN = UPLOADED
ATTEMPTS = 3
"""An upload during which the server died so often is put aside."""

_SET_ASIDE_S = 5.0
"""A job has ended a moment before its files are put aside: so long a retry waits for them."""

_Outcome = Literal["ended", "later", "stopped"]


@dataclass(slots=True)
class _Running:
    job_id: str
    stop: Stop


class Uploads:
    """The uploads of one server. `desk` and `parts` may fail while Elasticsearch is away; then it is tried again."""

    def __init__(
        self,
        spool: Spool,
        *,
        desk: Callable[[], Desk],
        parts: Callable[[], AbstractContextManager[Parts]],
        options: JobOptions,
        again_after_s: float = 5.0,
    ) -> None:
        self._spool = spool
        self._desk = desk
        self._parts = parts
        self._options = replace(options, origin=ORIGIN)
        self._again_after_s = again_after_s
        self._running: _Running | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ending = threading.Event()

    def submit(self, collection: str, files: Iterable[tuple[str, IO[bytes]]], *, acl_field: str = "") -> Job:
        """Take files in and queue a job for them; when this returns, a crash loses neither files nor record."""
        alias_of(collection)
        acl_field = checked(acl_field) if acl_field else ""
        job_id = new_id()
        with self._spool.receive(job_id, collection) as incoming:
            for name, content in files:
                _require_readable(incoming.add(name, content))
            if not incoming.names:
                raise UsageError("The upload has no files.")
            options = recorded_options(replace(self._options, collection=collection, acl_field=acl_field))
            job = Job(job_id, collection, kind="upload", files=incoming.names, options=options)
            job = self._desk().store.create(job)
        self.start()
        return job

    def retry(self, job: Job, *, start: bool = True) -> Job:
        """Queue the files of a job that did not succeed once more, as a new job; raises `JobStateError`."""
        if job.kind != "upload":
            raise JobStateError(
                f"The job {job.id} reads {job.source} on the machine that it was started on ({job.holder.who}): "
                f"retry it there with `bothways jobs retry {job.id}`."
            )
        require_retryable(job)
        if not self._spool.has_kept(job.id, within_s=_SET_ASIDE_S):
            raise JobStateError(f"The files of the job {job.id} are not on this machine any more: upload them again.")
        new = Job(new_id(), job.collection, "upload", files=job.files, options=job.options, retry_of=job.id)
        new = self._desk().store.create(new)
        self._spool.again(job.id, new.id)
        if start:
            self.start()
        return new

    def cancel(self, job_id: str) -> None:
        """End a job of this process at its next step, without waiting for its heartbeat."""
        running = self._running
        if running is not None and running.job_id == job_id:
            running.stop.cancelled.set()
        self._wake.set()

    def start(self) -> None:
        """Have the thread look for work, starting it where need be."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="uploads", daemon=True)
                self._thread.start()
        self._wake.set()

    def resume(self) -> None:
        """Go on with what an earlier server left; without anything left, nothing is started."""
        self._spool.sweep()
        if self._spool.waiting():
            self.start()

    def close(self, timeout_s: float = 10.0) -> None:
        """End the thread; what it was doing goes on when a server starts again."""
        self._ending.set()
        self._wake.set()
        running = self._running
        if running is not None:
            running.stop.interrupted.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _work(self) -> None:
        pause: float | None = None
        while not self._ending.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            if self._ending.is_set():
                return
            pause = self._again_after_s if self.run_waiting() else None

    def run_waiting(self) -> bool:
        """Run what waits, here and now; gives whether something is left for later, or for whoever is at it."""
        try:
            with FileLock(self._spool.folder / ".lock", timeout=0):
                return self._drain()
        except Timeout:
            return True
        except OSError as error:
            log.warning("uploads_not_read", folder=str(self._spool.folder), reason=str(error))
            return True

    def _drain(self) -> bool:
        """Run what waits, in order; gives whether something is left for later."""
        later: set[str] = set()
        while waiting := [upload for upload in self._spool.waiting() if upload.collection not in later]:
            outcome = self._run(waiting[0])
            if outcome == "stopped" or self._ending.is_set():
                return True
            if outcome == "later":
                later.add(waiting[0].collection)
        return bool(later)

    def _run(self, upload: Upload) -> _Outcome:
        """Run one upload and put its files where they belong by how it ended."""
        try:
            succeeded = self._attempt(upload)
        except (ElasticsearchUnavailableError, LeaseHeldError, LeaseLostError, StorageFullError) as error:
            log.info("upload_waits", job=upload.id, reason=str(error))
            self._spool.note(upload, attempts=upload.attempts)
            return "later"
        except JobInterruptedError:
            self._spool.note(upload, attempts=upload.attempts)
            return "stopped"
        except BothwaysError as error:
            log.warning("upload_failed", job=upload.id, reason=str(error))
            succeeded = False
        except Exception as error:
            # Whatever it is, it must neither be begun for ever nor keep the next upload waiting.
            log.exception("upload_failed", job=upload.id, kind=type(error).__name__)
            succeeded = False
        (self._spool.discard if succeeded else self._spool.keep)(upload)
        return "ended"

    def _attempt(self, upload: Upload) -> bool:
        """Run one upload; gives whether it succeeded. Raises what `run_job` raises."""
        desk, stop = self._desk(), Stop()
        job = _record_of(upload, desk, self._options)
        record = JobRecord(desk.store, job, stop)
        if job.state == "cancelled":
            return False
        if upload.attempts >= ATTEMPTS:
            record.ended("failed", f"The server died {upload.attempts} times while it ran this; see its log.")
            return False
        self._spool.note(upload, attempts=upload.attempts + 1)
        self._running = _Running(job.id, stop)
        try:
            with ExitStack() as opened:
                parts = self._open(opened, record)
                return run_job(upload.folder, options_of(job), parts, job, desk, stop=stop).succeeded
        finally:
            self._running = None

    def _open(self, opened: ExitStack, record: JobRecord) -> Parts:
        try:
            return opened.enter_context(self._parts())
        except ElasticsearchUnavailableError:
            raise
        except BothwaysError as error:
            record.ended("failed", str(error))
            raise


def require_retryable(job: Job) -> None:
    """Refuse to retry a job that goes on, or that has nothing left to do."""
    if not job.has_ended:
        raise JobStateError(f"The job {job.id} is {job.state}; it can be retried when it has ended.")
    if job.state == "done":
        raise JobStateError(f"The job {job.id} is done; there is nothing to retry.")


def _require_readable(name: str) -> None:
    """Refuse a file now that the job would only skip."""
    suffix = Path(name).suffix
    if suffix.lower() not in READERS:
        raise UsageError(f"{name[:80]!r}: {not_read(suffix[:20])} These types are: {', '.join(sorted(READERS))}.")


def _record_of(upload: Upload, desk: Desk, usual: JobOptions) -> Job:
    try:
        return desk.store.get(upload.id)
    except JobNotFoundError:
        # Somebody removed the records; the files are what counts.
        names = tuple(sorted(path.name for path in upload.folder.iterdir()))
        options = replace(usual, collection=upload.collection, origin=ORIGIN)
        return Job(upload.id, upload.collection, "upload", files=names, options=recorded_options(options))
