"""A job that several workers share: the leader reads, offers shards and ends it; all expand, embed and send.

The leader is the process that holds the collection's lease. It works on shards as the others do, so it also finishes
the job alone; workers may come and go, on this machine or on others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from itertools import count

import structlog

from bothways.core.batches import batched
from bothways.core.datatypes import Chunk
from bothways.core.elastic.lease import Lease
from bothways.core.errors import (
    IncompatibleCollectionError,
    JobNotFoundError,
    JobStateError,
    LeaseLostError,
    LLMUnavailableError,
)
from bothways.indexer.changes.differences import Differences, only_changed
from bothways.indexer.jobs.outage import Patience, through_outages
from bothways.indexer.jobs.record import Stop
from bothways.indexer.jobs.store import Job, JobStore
from bothways.indexer.parts import Parts
from bothways.indexer.report import JobReport
from bothways.indexer.workers.shards import SIZE, Order, Questions, Shard, Shards
from bothways.indexer.write import Progress, Target, write

log = structlog.get_logger()

AHEAD = 32
"""Shards that wait or are worked on at once: the reader is held back, and Elasticsearch holds no second corpus."""
LOOK_AGAIN_S = 0.5
"""How often an idle worker looks for a shard, and the leader for finished ones."""
JOB_CHECK_S = 3.0
"""How often a worker looks whether its job goes on."""
APPEARS_WITHIN_S = 60.0
"""How long a worker waits for the record of the job that it was started for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """Offers the chunks of one job to all workers, works along, and adds up what all have written.

    `ahead` bounds the shards that are offered and not done. `numbers` are those of the shards: none is used twice, so
    that a late worker does not end a shard of the job's next attempt. `on_share` is called before each shard with the
    number of shards before it, which is how many more workers would have something to do.
    """

    shards: Shards
    job: str
    collection: str
    questions: Questions
    ahead: int = AHEAD
    size: int = SIZE
    look_again_s: float = LOOK_AGAIN_S
    numbers: Iterator[int] = field(default_factory=count)
    on_share: Callable[[int], None] = lambda _: None

    def write(
        self, changed: Iterable[Chunk], target: Target, parts: Parts, report: JobReport, progress: Progress
    ) -> None:
        """Bring chunks into the index, with all workers; `report` gets the counts and failures of all."""
        waiting = self.share(changed, target, parts)
        out, more = 0, True
        try:
            while more or out:
                while more and out < self.ahead:
                    more = next(waiting, None) is not None
                    out += more
                progress(report)
                worked = self._work(parts, report, progress)
                shares = self.shards.collect(self.job)
                for share in shares:
                    report.add_written(share)
                out -= len(shares)
                if out and not worked and not shares:
                    time.sleep(self.look_again_s)
        finally:
            self.shards.clear(job=self.job)

    def share(self, changed: Iterable[Chunk], target: Target, parts: Parts) -> Iterator[int]:
        """Offer the chunks to all workers, a shard a step; returns the shards' numbers."""
        order = order_of(self.collection, target, parts, self.questions)
        self.shards.clear(collection=self.collection)  # of jobs that died
        for before, chunks in enumerate(batched(changed, self.size)):
            self.on_share(before)
            number = next(self.numbers)
            self.shards.add(Shard(job=self.job, number=number, order=order, chunks=chunks))
            yield number

    def _work(self, parts: Parts, report: JobReport, progress: Progress) -> bool:
        with self.shards.claimed(self.job) as claim:
            if claim is None:
                return False
            write_shard(*claim, parts, self.shards, check=lambda: progress(report))
            return True


def order_of(collection: str, target: Target, parts: Parts, questions: Questions) -> Order:
    """Return what the workers of a job have to use."""
    generation = ""
    if parts.writer is not None:
        with suppress(LLMUnavailableError):
            generation = parts.writer.generation
    return Order(
        collection=collection,
        target=target,
        embedding_model=parts.embedding_model,
        analyzer=parts.segmenter.name,
        questions=questions,
        generation=generation,
    )


def parts_for_shard(
    order: Order, parts_for: Callable[[Order], AbstractContextManager[Parts]], stack: ExitStack
) -> Parts:
    """Open what an order needs; raises `IncompatibleCollectionError` where this process has other settings."""
    parts = stack.enter_context(parts_for(order))
    mine = order_of(order.collection, order.target, parts, order.questions)
    for what, required, have in (
        ("embedding model", order.embedding_model, mine.embedding_model),
        ("text analysis", order.analyzer, mine.analyzer),
        ("questions", order.generation, mine.generation),
    ):
        if required and have != required:
            raise IncompatibleCollectionError(
                f"The job works with the {what} {required!r}, this worker has {have or 'none'!r}: "
                "give it the settings that the job was started with."
            )
    return parts


def write_shard(shard: Shard, lease: Lease, parts: Parts, shards: Shards, *, check: Callable[[], None]) -> None:
    """Bring the chunks of one shard into the index; what a dead worker has already done is not done again.

    `check` is called again and again, and raises when the work is to end. Raises `LeaseLostError` where another worker
    has taken the shard over.
    """
    target, report, before = shard.order.target, JobReport(collection=shard.order.collection), Differences()

    def step(_: JobReport) -> None:
        lease.check()
        check()

    left = only_changed(
        shard.chunks,
        parts.client,
        index=target.index,
        origin=target.origin,
        generations=target.generations,
        differences=before,
    )
    write(left, target, parts, report, step)
    report.indexed += before.unchanged
    lease.check()
    shards.done(shard, report.written())


@dataclass(slots=True, kw_only=True)
class Worker:
    """A process that helps with a job, on this machine or another.

    `parts_for` opens what an order asks for; it is called once, when there is something to do. While Elasticsearch is
    away a worker waits as long as its `patience` lasts. `shards_done` and `chunks_done` count its share.
    """

    shards: Shards
    store: JobStore
    parts_for: Callable[[Order], AbstractContextManager[Parts]]
    stop: Stop = field(default_factory=Stop)
    look_again_s: float = LOOK_AGAIN_S
    appears_within_s: float = APPEARS_WITHIN_S
    patience: Patience = field(default_factory=Patience)
    shards_done: int = 0
    chunks_done: int = 0
    _parts: Parts | None = None

    def help(self, job_id: str) -> Job:
        """Work on the job's shards until it has ended; returns the job as it ended.

        Raises `JobNotFoundError`, `JobStateError` for a job whose chunks are not shared,
        `IncompatibleCollectionError` where this process has not what the job asks for.
        """
        job = self._wait_for(job_id)
        with ExitStack() as stack:
            while not job.has_ended:
                job = through_outages(
                    lambda: self._step(job_id, stack), self.patience, has_got_on=lambda: False, pause=self._pause
                )
        return job

    def _step(self, job_id: str, stack: ExitStack) -> Job:
        """Work on one shard, or wait a moment where none is free; returns the job as it is then."""
        with self.shards.claimed(job_id) as claim:
            if claim is not None:
                if self._parts is None:
                    self._parts = parts_for_shard(claim[0].order, self.parts_for, stack)
                self._work(*claim, self._parts)
        if claim is None:
            self._pause(self.look_again_s)
        return self.store.get(job_id)

    def _pause(self, seconds: float) -> None:
        self.stop.check()
        time.sleep(seconds)

    def _work(self, shard: Shard, lease: Lease, parts: Parts) -> None:
        looked = time.monotonic()

        def check() -> None:
            nonlocal looked
            self.stop.check()
            if time.monotonic() - looked > JOB_CHECK_S:
                looked = time.monotonic()
                job = self.store.get(shard.job)
                if job.has_ended:
                    raise JobStateError(f"The job {job.id} is {job.state}.")

        try:
            write_shard(shard, lease, parts, self.shards, check=check)
        except (LeaseLostError, JobStateError) as error:
            log.info("shard_left", shard=shard.id, reason=str(error))
            return
        self.shards_done += 1
        self.chunks_done += len(shard.chunks)

    def _wait_for(self, job_id: str) -> Job:
        """Read the record, which a worker that starts together with its job may have to wait for."""
        give_up = time.monotonic() + self.appears_within_s
        while True:
            try:
                job = self.store.get(job_id)
            except JobNotFoundError:
                if time.monotonic() > give_up:
                    raise
                self.stop.check()
                time.sleep(self.look_again_s)
                continue
            if not job.options.get("workers"):
                raise JobStateError(
                    f"The job {job_id} is run by one process; start it with --workers N to let others help."
                )
            return job
