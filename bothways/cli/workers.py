"""Worker processes of this machine that share one job, and what `--workers` and `--engine` make of a job."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from bothways.core.elastic.lease import Leases
from bothways.core.settings import Settings
from bothways.indexer.workers.shards import Questions, Shards
from bothways.indexer.workers.workers import Leader
from bothways.indexer.write import Write, write
from bothways.models.onnx.graph import cores
from bothways.node.connect import connect

Engine = Literal["local", "ray"]

_JOIN = "from bothways.cli.main import main; main()"
_LEAVES_WITHIN_S = 10.0


@dataclass(slots=True, kw_only=True)
class LocalHelpers:
    """Processes that run `bothways jobs join ID`: started as there is work for them, ended with the `with`."""

    job: str
    most: int
    environment: Mapping[str, str] = field(default_factory=dict)
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def want(self, helpers: int) -> None:
        """Have so many helpers, within what was asked for; one that has died is not started again."""
        while len(self._started) < min(helpers, self.most):
            command = [sys.executable, "-c", _JOIN, "jobs", "join", self.job]
            environment = os.environ | dict(self.environment)
            self._started.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        until = time.monotonic() + _LEAVES_WITHIN_S  # by themselves: they see that the job has ended
        for end in (None, subprocess.Popen.terminate, subprocess.Popen.kill):
            for process in self._started:
                if end is not None and process.poll() is None:
                    end(process)
            for process in self._started:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.1, until - time.monotonic()))
            until = time.monotonic() + _LEAVES_WITHIN_S


def shared(settings: Settings, workers: int) -> Settings:
    """Return the settings of each of several workers on one machine: together they ask no more than one would.

    Sets `OMP_NUM_THREADS` for this process and its children, so that their models share the cores.
    """
    if workers == 1:
        return settings
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // workers)))
    rate = settings.llm_requests_per_minute
    return settings.model_copy(
        update={
            "llm_concurrency": max(1, settings.llm_concurrency // workers),
            "llm_requests_per_minute": rate / workers if rate else None,
        }
    )


def environment_of(settings: Settings) -> dict[str, str]:
    """Return what the settings of a worker are on top of the environment that all have."""
    rate = settings.llm_requests_per_minute
    shares = {"BOTHWAYS_LLM_CONCURRENCY": str(settings.llm_concurrency)}
    return shares | ({"BOTHWAYS_LLM_REQUESTS_PER_MINUTE": str(rate)} if rate else {})


def writing(
    settings: Settings,
    helpers: LocalHelpers,
    *,
    collection: str,
    questions: Questions,
    workers: int | None,
    engine: Engine,
) -> Write:
    """Return what brings the chunks of a job into the index: this process, workers on this machine, or Ray."""
    if engine == "local" and workers is None:
        return write
    client, _ = connect(settings)
    shards = Shards(client, Leases(client))
    if engine == "ray":
        from bothways.indexer.workers.ray_engine import RayLeader, require_ray

        require_ray()
        return RayLeader(
            Leader(shards=shards, job=helpers.job, collection=collection, questions=questions), settings, workers or 1
        ).write
    return Leader(
        shards=shards, job=helpers.job, collection=collection, questions=questions, on_share=helpers.want
    ).write
