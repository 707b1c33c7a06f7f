"""A job shared on a Ray cluster: Ray Data brings its shards to workers wherever the cluster has room.

Ray starts the workers, replaces those that die with their machine, and scales their number; which chunks there are and
what became of them stays in Elasticsearch, as for all workers. Needs `pip install "bothways[ray]"` on all machines.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from bothways.core.datatypes import Chunk
from bothways.core.elastic.lease import Leases
from bothways.core.errors import JobStateError, MissingExtraError
from bothways.core.settings import Settings
from bothways.indexer.build import parts_for_order
from bothways.indexer.jobs.store import JobStore
from bothways.indexer.parts import Parts
from bothways.indexer.report import JobReport
from bothways.indexer.workers.shards import Shards
from bothways.indexer.workers.workers import LOOK_AGAIN_S, Leader, parts_for_shard, write_shard
from bothways.indexer.write import Progress, Target
from bothways.node.connect import connect

INSTALL_RAY = 'pip install "bothways[ray]"'


@dataclass(frozen=True, slots=True)
class RayLeader:
    """Offers all chunks of a job, then has Ray Data map over the shards with up to `workers` actors.

    `RAY_ADDRESS` names the cluster, as Ray has it; without it, a Ray of this machine's own is started and ended.
    """

    leader: Leader
    settings: Settings
    workers: int

    def write(
        self, changed: Iterable[Chunk], target: Target, parts: Parts, report: JobReport, progress: Progress
    ) -> None:
        """Bring chunks into the index; `report` gets everybody's counts and failures."""
        shards, job = self.leader.shards, self.leader.job
        try:
            offered = []
            for number in self.leader.share(changed, target, parts):
                offered.append({"number": number})
                progress(report)
            if not offered:
                return
            with _ray() as data:
                numbers = data.from_items(offered, override_num_blocks=len(offered))
                done = numbers.map_batches(
                    RayWorker,
                    fn_constructor_args=(self.settings, job),
                    batch_size=1,
                    compute=data.ActorPoolStrategy(min_size=1, max_size=self.workers),
                )
                for _ in done.iter_rows():
                    for share in shards.collect(job):
                        report.add_written(share)
                    progress(report)
        finally:
            shards.clear(job=job)


class RayWorker:
    """What Ray Data starts, an actor each: takes the shard that a row names, and writes its chunks."""

    def __init__(self, settings: Settings, job: str) -> None:
        client, _ = connect(settings)
        self._settings = settings
        self._job = job
        self._shards = Shards(client, Leases(client))
        self._store = JobStore(client)
        self._stack = ExitStack()
        self._parts: Parts | None = None

    def __call__(self, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do the shards of `batch["number"]`; returns the batch back when they are done."""
        for number in batch["number"]:
            self._do(int(number))
        return batch

    def _do(self, number: int) -> None:
        while True:
            self._check()
            with self._shards.claimed(self._job, number) as claim:
                if claim is not None:
                    if self._parts is None:
                        self._parts = parts_for_shard(
                            claim[0].order, lambda order: parts_for_order(self._settings, order.questions), self._stack
                        )
                    write_shard(*claim, self._parts, self._shards, check=lambda: None)
                    return
            if not self._shards.is_waiting(self._job, number):
                return  # done by a worker that died after it
            time.sleep(LOOK_AGAIN_S)

    def _check(self) -> None:
        job = self._store.get(self._job)
        if job.has_ended:
            raise JobStateError(f"The job {job.id} is {job.state}.")


def require_ray() -> None:
    """Raise `MissingExtraError` where Ray is not installed, before a job is begun."""
    if find_spec("ray") is None:
        raise MissingExtraError(f"--engine ray needs: {INSTALL_RAY}.")


@contextmanager
def _ray() -> Iterator[Any]:
    """Return `ray.data`, connected; a Ray that was not there before is ended."""
    import ray  # seconds
    import ray.data

    was_there = ray.is_initialized()
    if not was_there:
        address = os.environ.get("RAY_ADDRESS")
        local = {} if address else {"include_dashboard": False}
        ray.init(address=address, logging_level=logging.WARNING, log_to_driver=True, **local)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    try:
        yield ray.data
    finally:
        if not was_there:
            ray.shutdown()
