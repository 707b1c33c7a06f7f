"""Uploads as jobs: received, recorded, then indexed in threads of the server, several collections at once.

The queue is the spool on disk, so a server that starts again goes on with what the one before left. Several servers on
one machine share it: a file lock for each collection lets one of them work on it at a time. Uploads to one collection
run in the order in which they came; no collection waits for the whole queue of another (uploads/scheduler.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Literal

import structlog
from filelock import FileLock, Timeout

from bothways.core.collections.collection import alias_of
from bothways.core.errors import (
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
from bothways.core.machine.private_files import FILE, private_folder
from bothways.indexer.jobs.record import JobRecord, Stop
from bothways.indexer.jobs.store import Job, new_id
from bothways.indexer.parts import UPLOADED, JobOptions, Parts
from bothways.indexer.read import READERS
from bothways.indexer.read.other import not_read
from bothways.indexer.run import JobRegistry, options_of, recorded_options, run_job
from bothways.indexer.uploads.orphans import SPOOL, end_orphans
from bothways.indexer.uploads.scheduler import Scheduler
from bothways.indexer.uploads.spool import Spool, Upload
from bothways.indexer.versions.acl import checked

log = structlog.get_logger()

ORIGIN = UPLOADED
ATTEMPTS = 3
"""An upload during which the server died so often is put aside."""

_SET_ASIDE_S = 5.0
"""A job has ended a moment before its files are put aside: so long a retry waits for them."""

_Outcome = Literal["ended", "later", "stopped"]


class Uploads:
    """The uploads of one server. `registry` and `parts` may fail while Elasticsearch is away; they are called again."""

    def __init__(
        self,
        spool: Spool,
        *,
        registry: Callable[[], JobRegistry],
        parts: Callable[[], AbstractContextManager[Parts]],
        options: JobOptions,
        again_after_s: float = 5.0,
    ) -> None:
        self._spool = spool
        self._registry = registry
        self._parts = parts
        self._options = replace(options, origin=ORIGIN)
        self._again_after_s = again_after_s
        self._scheduler = Scheduler()
        self._running: dict[str, Stop] = {}
        self._thread: threading.Thread | None = None
        self._jobs: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ending = threading.Event()

    def submit(self, collection: str, files: Iterable[tuple[str, IO[bytes]]], *, acl_field: str = "") -> Job:
        """Take files in and queue a job for them; when this returns, a crash loses neither files nor record."""
        alias_of(collection)
        acl_field = checked(acl_field) if acl_field else ""
        job_id = new_id()
        created: list[Job] = []
        with self._ended_where_it_fails(created), self._spool.receive(job_id, collection) as incoming:
            for name, content in files:
                _require_readable(incoming.add(name, content))
            if not incoming.names:
                raise UsageError("The upload has no files.")
            incoming.all_there()
            chosen = replace(self._options, collection=collection, acl_field=acl_field)
            options = recorded_options(chosen, **{SPOOL: self._spool.name})
            job = Job(id=job_id, collection=collection, kind="upload", files=incoming.names, options=options)
            created.append(self._registry().store.create(job))
        (job,) = created
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
        new = Job(
            id=new_id(), collection=job.collection, kind="upload", files=job.files, options=job.options, retry_of=job.id
        )
        new = self._registry().store.create(new)
        with self._ended_where_it_fails([new]):
            self._spool.again(job.id, new.id)
        if start:
            self.start()
        return new

    @contextmanager
    def _ended_where_it_fails(self, jobs: Sequence[Job]) -> Iterator[None]:
        """End the records of the jobs with the error, so that none waits for files that do not come."""
        try:
            yield
        except BothwaysError as error:
            for job in jobs:
                JobRecord(self._registry().store, job, Stop()).ended("failed", str(error))
            raise

    def cancel(self, job_id: str) -> None:
        """End a job of this process at its next step, without waiting for its heartbeat."""
        if stop := self._running.get(job_id):
            stop.cancelled.set()
        self._scheduler.retry_now()  # one that waits is put aside now
        self._wake.set()

    def start(self) -> None:
        """Make the thread look for work; start it if there is none."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="uploads", daemon=True)
                self._thread.start()
        self._wake.set()

    def resume(self) -> None:
        """Continue what an earlier server left, and end the records of uploads whose files never arrived."""
        self._spool.sweep()
        threading.Thread(target=self._end_stranded, name="stranded uploads", daemon=True).start()
        if self._spool.waiting():
            self.start()

    def _end_stranded(self) -> None:
        """End orphaned records as soon as Elasticsearch is there: a server also starts without it."""
        while not self._ending.is_set():
            try:
                end_orphans(self._registry().store, self._spool)
            except ElasticsearchUnavailableError:
                self._ending.wait(self._again_after_s)
            except (BothwaysError, OSError) as error:
                log.warning("stranded_uploads_not_ended", reason=str(error))
                return
            else:
                return

    def close(self, timeout_s: float = 10.0) -> None:
        """End the threads, within so many seconds; what they were doing goes on when a server starts again."""
        deadline = time.monotonic() + timeout_s
        self._ending.set()
        self._wake.set()
        with self._lock:
            for stop in self._running.values():
                stop.interrupted.set()
            threads = [*self._jobs, *([self._thread] if self._thread else [])]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def run_waiting(self, collection: str | None = None) -> bool:
        """Run what waits, here and now, of one collection or of all.

        Returns whether something is left for later, or for another process that is at it.
        """
        later: set[str] = set()
        while not self._ending.is_set():
            waiting = [name for name in self._waiting() if name not in later and collection in {None, name}]
            if not waiting:
                break
            if not self._serve(waiting[0]):
                later.add(waiting[0])
        return bool(later)

    def _work(self) -> None:
        """Return out scheduler whenever something has changed, until the server ends."""
        pause: float | None = None
        while not self._ending.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            try:
                pause = self._begin_jobs()
            except Exception as error:
                # Whatever is wrong with the spool, the server looks again: nobody else would.
                log.exception("uploads_not_read", folder=str(self._spool.folder), kind=type(error).__name__)
                pause = self._again_after_s

    def _begin_jobs(self) -> float | None:
        """Start a thread for each collection that may go; returns the seconds after which to look again, if any."""
        waiting = self._waiting()
        while not self._ending.is_set() and (collection := self._scheduler.take(waiting)) is not None:
            thread = threading.Thread(
                target=self._in_slot, args=(collection,), name=f"upload {collection}", daemon=True
            )
            with self._lock:
                self._jobs.add(thread)
            thread.start()
        return self._scheduler.next_try_s(waiting)

    def _waiting(self) -> list[str]:
        """Return the collections that have waiting uploads, the one of the oldest upload first."""
        return list(dict.fromkeys(upload.collection for upload in self._spool.waiting()))

    def _in_slot(self, collection: str) -> None:
        is_done = False
        try:
            is_done = self._serve(collection)
        finally:
            self._scheduler.release(collection, again_after_s=0.0 if is_done else self._again_after_s)
            with self._lock:
                self._jobs.discard(threading.current_thread())
            self._wake.set()

    def _serve(self, collection: str) -> bool:
        """Run the oldest upload of a collection; returns False where it is to be tried again later."""
        try:
            with self._alone_on(collection):
                # Another process may have run it since it was listed.
                uploads = (upload for upload in self._spool.waiting() if upload.collection == collection)
                upload = next(uploads, None)
                return upload is None or self._run(upload) == "ended"
        except Timeout:
            return False
        except (OSError, BothwaysError) as error:
            log.warning("upload_waits", collection=collection, reason=str(error))
            return False

    def _alone_on(self, collection: str) -> FileLock:
        """Return the lock that other servers on this machine respect; raises `Timeout` where one holds it."""
        folder = self._spool.folder / "locks"
        private_folder(folder)
        return FileLock(folder / f"{alias_of(collection)}.lock", timeout=0, mode=FILE)

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
        """Run one upload; returns whether it succeeded. Raises what `run_job` raises."""
        registry, stop = self._registry(), Stop()
        job = _record_of(upload, registry, self._options)
        record = JobRecord(registry.store, job, stop)
        if job.state == "cancelled":
            return False
        if upload.attempts >= ATTEMPTS:
            record.ended("failed", f"The server died {upload.attempts} times while it ran this; see its log.")
            return False
        self._spool.note(upload, attempts=upload.attempts + 1)
        with self._lock:
            self._running[job.id] = stop
            if self._ending.is_set():
                stop.interrupted.set()
        try:
            with ExitStack() as stack:
                parts = self._open(stack, record)
                return run_job(upload.folder, options_of(job), parts, job, registry, stop=stop).succeeded
        finally:
            with self._lock:
                del self._running[job.id]

    def _open(self, stack: ExitStack, record: JobRecord) -> Parts:
        try:
            return stack.enter_context(self._parts())
        except ElasticsearchUnavailableError:
            raise
        except BothwaysError as error:
            record.ended("failed", str(error))
            raise


def require_retryable(job: Job) -> None:
    """Raise `JobStateError` for a job that is still running, or that has nothing left to do."""
    if not job.has_ended:
        raise JobStateError(f"The job {job.id} is {job.state}; it can be retried when it has ended.")
    if job.state == "done":
        raise JobStateError(f"The job {job.id} is done; there is nothing to retry.")


def _require_readable(name: str) -> None:
    """Raise `UsageError` for a file that the job would only skip."""
    suffix = Path(name).suffix
    if suffix.lower() not in READERS:
        raise UsageError(f"{name[:80]!r}: {not_read(suffix[:20])} These types are: {', '.join(sorted(READERS))}.")


def _record_of(upload: Upload, registry: JobRegistry, usual: JobOptions) -> Job:
    try:
        return registry.store.get(upload.id)
    except JobNotFoundError:
        # Somebody removed the records; the files are what counts.
        names = tuple(sorted(path.name for path in upload.folder.iterdir()))
        options = replace(usual, collection=upload.collection, origin=ORIGIN)
        return Job(
            id=upload.id, collection=upload.collection, kind="upload", files=names, options=recorded_options(options)
        )
