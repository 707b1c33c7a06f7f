"""What `benchmarks.chaos` does around a collection: a server dies in an upload, a clock is wrong, there is no room.

Each case has a collection of its own, and ends with its document there.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from elasticsearch import NotFoundError

from benchmarks.chaos.aliases import Scene
from benchmarks.shared.corpus import ROOT

COLLECTION = "chaos-outages"
DAY_S = 86_400.0
_PATIENCE_S = 180.0

_DIES_IN_THE_HAND_OVER = """
import io, os, sys
from bothways.node.connect import connect
from bothways.core.settings import load_settings
from bothways.indexer.build import default_job_options
from bothways.indexer.jobs.store import JobStore
from bothways.indexer.run import open_registry
from bothways.indexer.uploads.spool import Spool
from bothways.indexer.uploads.queue import Uploads
settings = load_settings()
client, _ = connect(settings)
real = JobStore.create
def create(store, job):
    real(store, job)
    print(job.id, flush=True)
    os._exit(9)
JobStore.create = create
spool = Spool(settings.cache_dir / "uploads")
uploads = Uploads(spool, registry=lambda: open_registry(client), parts=None, options=default_job_options(settings, ""))
uploads.submit(sys.argv[1], [("handed-over.txt", io.BytesIO("报销单据应当附上发票。".encode()))])
"""


def killed_in_the_hand_over(scene: Scene) -> list[str]:
    """Kill a server between the record of an upload and the move of its files; the next one goes on with it."""
    command = [sys.executable, "-c", _DIES_IN_THE_HAND_OVER, COLLECTION]
    died = subprocess.run(command, env=dict(scene.environment), cwd=ROOT, capture_output=True, text=True, check=False)
    if died.returncode != 9:
        return [f"the server did not die in the hand-over: {died.stderr[-300:]}"]
    job_id = died.stdout.strip()
    with _serving(scene):
        deadline = time.monotonic() + _PATIENCE_S
        while (state := _state(scene, job_id)) in {"queued", "running"} and time.monotonic() < deadline:
            time.sleep(0.5)
    return [] if state == "done" else [f"the upload {job_id} is {state} after its server was started again"]


def a_day_ahead(scene: Scene) -> list[str]:
    """Leave the lease of a dead holder of another machine whose clock was a day ahead."""
    now = time.time() + DAY_S
    holder = {"who": "bo@elsewhere:7", "machine": "elsewhere", "pid": 7, "started": 1.0}
    lease = {"holder": holder, "token": "t", "note": "", "since": now, "renewed": now, "ttl_s": 30.0}
    scene.client.index(index="bothways-leases", id=f"collection {COLLECTION}", document=lease)
    started = time.monotonic()
    code, told = _indexed(scene, "day.txt")
    took = time.monotonic() - started
    print(f"a lease that was renewed a day ahead held the job up for {took:.0f} s")
    problems = [f"index ended with {code}: {told[-300:]}"] if code else []
    return problems + ([f"a lease of a day ahead held it up for {took:.0f} s"] if took > _PATIENCE_S else [])


def full_disk(scene: Scene) -> list[str]:
    """Have Elasticsearch find too little room on its disk (its flood stage), then enough again."""
    _indexed(scene, "room.txt")
    levels = ("low", "high", "flood_stage")
    marks = {f"cluster.routing.allocation.disk.watermark.{level}": "1000000gb" for level in levels}
    often = {"cluster.info.update.interval": "10s"}
    scene.client.cluster.put_settings(persistent=marks | often)
    try:
        _until(lambda: _is_blocked(scene))
        started = time.monotonic()
        code, told = _indexed(scene, "full.txt")
        took = time.monotonic() - started
    finally:
        scene.client.cluster.put_settings(persistent=dict.fromkeys(marks))
    problems = [] if code == 1 and "disk is full" in told else [f"a full disk ended with {code}: {told[-300:]}"]
    problems += [f"a full disk was said after {took:.0f} s only"] if took > 60 else []
    _until(lambda: not _is_blocked(scene))
    code, told = _indexed(scene, "full.txt")
    return problems + ([f"with room again it ended with {code}: {told[-300:]}"] if code else [])


def overloaded(scene: Scene) -> list[str]:
    """Have Elasticsearch answer 429 to requests that are larger than a line, for 20 s or as long as the job takes.

    Elasticsearch 9 takes `_bulk` in pieces, which this breaker lets through: records and searches are refused.
    """
    limit = "network.breaker.inflight_requests.limit"
    scene.client.cluster.put_settings(persistent={limit: "1kb"})
    try:
        with _index(scene, "overload.txt") as job:
            with suppress(subprocess.TimeoutExpired):
                job.wait(20)
            scene.client.cluster.put_settings(persistent={limit: None})
            _, told = job.communicate(timeout=_PATIENCE_S)
    finally:
        scene.client.cluster.put_settings(persistent={limit: None})
    return [f"after an overload it ended with {job.returncode}: {told[-300:]}"] if job.returncode else []


CASES: Mapping[str, Callable[[Scene], list[str]]] = {
    "killed in the hand-over of an upload": killed_in_the_hand_over,
    "a holder's clock a day ahead": a_day_ahead,
    "a full disk": full_disk,
    "429s": overloaded,
}


def _is_blocked(scene: Scene) -> bool:
    index = f"bothways-{COLLECTION}-v1"
    found = scene.client.indices.get_settings(index=index, name="index.blocks.*", flat_settings=True)
    return index in found and bool(found[index]["settings"])


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("Elasticsearch did not look at its disk in time.")
        time.sleep(1)


def _index(scene: Scene, name: str) -> subprocess.Popen[str]:
    file = Path(scene.folder) / name
    file.write_text(f"{name}：差旅费用凭发票报销。" * 40, encoding="utf-8")
    words = ["index", str(file), "--collection", COLLECTION, "--no-questions"]
    command = [sys.executable, "-c", "from bothways.cli.main import main; main()", *words]
    return subprocess.Popen(command, env=dict(scene.environment), cwd=ROOT, stderr=subprocess.PIPE, text=True)


def _indexed(scene: Scene, name: str) -> tuple[int, str]:
    with _index(scene, name) as job:
        _, told = job.communicate()
    return job.returncode, told


@contextmanager
def _serving(scene: Scene) -> Iterator[None]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", "from bothways.cli.main import main; main()", "serve", "--port", str(port)]
    server = subprocess.Popen(command, env=dict(scene.environment), cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        server.terminate()
        server.wait(60)


def _state(scene: Scene, job_id: str) -> str:
    try:
        return str(scene.client.get(index="bothways-jobs", id=job_id)["_source"]["state"])
    except NotFoundError:
        return "not recorded"
