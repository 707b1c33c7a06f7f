"""Jobs as others see them: recorded, alone on their collection, cancelled, lost, retried. A real Elasticsearch."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
import structlog

from bothways.core.elastic.lease import Leases
from bothways.core.errors import JobCancelledError, JobNotFoundError, JobStateError, LeaseHeldError, LeaseLostError
from bothways.core.machine.holder import Holder
from bothways.indexer.jobs.record import Stop
from bothways.indexer.jobs.store import NAMED, Job, JobStore, new_id
from bothways.indexer.parts import JobOptions
from bothways.indexer.run import JobRegistry, open_registry, options_of, recorded_options, run_job
from tests.fakes import Clock, DyingWriter, FixedWriter, HashEncoder, make_parts

pytestmark = pytest.mark.elasticsearch


@pytest.fixture
def registry(es, clock):
    return JobRegistry(store=JobStore(es[0]), leases=Leases(es[0], clock=clock), record_every_s=0.2, look_again_s=0.05)


@pytest.fixture
def folder(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    rows = [{"_id": f"r{i}", "title": f"题{i}", "text": f"第{i}条记录的内容。"} for i in range(20)]
    (docs / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return docs


@pytest.fixture
def run(es, segmenter, collection, folder, registry):
    """Run a job on the folder: `run(writer=..., ...)`; `run.last` is its record."""
    client, server = es
    encoder = HashEncoder()

    def go(path=folder, *, writer=None, own_registry=registry, options=None, **more):
        options = options or JobOptions(collection=collection, concurrency=1)
        parts = make_parts((client, server), segmenter, encoder=lambda: encoder, writer=writer)
        job = Job(id=new_id(), collection=collection, source=str(path), options=recorded_options(options))
        go.ids.append(job.id)
        return run_job(path, options, parts, job, own_registry, **more)

    go.ids = []
    return go


@pytest.fixture
def record(run, registry):
    return lambda: registry.store.get(run.ids[-1])


class Pausing(FixedWriter):
    """Stops after `after` chunks until it is let go, so that a test can act in the middle of a job."""

    def __init__(self, after=3, **more):
        super().__init__(**more)
        self.after = after
        self.reached = threading.Event()
        self.go = threading.Event()

    def write(self, chunk):
        if self.calls == self.after:
            self.reached.set()
            assert self.go.wait(20)
        return super().write(chunk)


@pytest.fixture
def started(run):
    """Run a job in a thread up to the middle: gives the writer to let go, and what the job ended with."""
    threads = []

    def start(**more):
        ended = SimpleNamespace(report=None, error=None)
        writer = Pausing()

        def work():
            try:
                ended.report = run(writer=writer, **more)
            except BaseException as error:  # noqa: BLE001 – whatever it is, the test looks at it
                ended.error = error

        thread = threading.Thread(target=work)
        thread.start()
        threads.append((thread, writer))
        assert writer.reached.wait(20)
        ended.join = lambda: (writer.go.set(), thread.join(20))
        return ended

    yield start
    for thread, writer in threads:
        writer.go.set()
        thread.join(20)


def test_a_job_is_recorded(run, record, folder, collection, registry):
    (folder / "broken.json").write_text("{", encoding="utf-8")
    (folder / "picture.png").write_bytes(b"x")
    report = run(writer=FixedWriter(refuse=["第3条"]))
    job = record()
    assert (job.state, job.collection, job.kind, job.source) == ("failed", collection, "path", str(folder))
    assert job.holder == Holder.here()
    assert job.index == f"bothways-{collection}-v1"
    assert {name: job.counts[name] for name in ("documents", "chunks", "new", "indexed", "questions", "llm_calls")} == {
        "documents": 20, "chunks": 20, "new": 20, "indexed": 20, "questions": 38, "llm_calls": 20,
    }  # fmt: skip
    assert (job.counts["failures"], job.counts["refused"], job.counts["skipped"]) == (2, 1, 1)
    assert {(one["item"], one["stage"]) for one in job.failures} == {("broken.json", "read"), ("r3-0", "refuse")}
    assert job.skipped[0][0] == "picture.png"
    assert job.error == "Items that failed: 1."
    assert job.created <= job.started <= job.finished
    assert job.seconds >= report.seconds
    assert options_of(job) == JobOptions(collection=collection, concurrency=1)

    (folder / "broken.json").unlink()
    run(writer=FixedWriter())
    assert (record().state, record().error) == ("done", "")
    found, total = registry.store.find(collection=collection)
    assert ([job.id for job in found], total) == (run.ids[::-1], 2)
    assert [job.id for job in registry.store.find(collection=collection, state="failed")[0]] == run.ids[:1]


def test_only_the_first_failures_are_named(run, record, folder):
    lines = "".join(f"no json {number}\n" for number in range(NAMED + 9))
    (folder / "bad.jsonl").write_text('{"_id": "x", "text": "好。"}\n' + lines, encoding="utf-8")
    run()
    assert (len(record().failures), record().counts["failures"]) == (NAMED, NAMED + 9)


def test_a_dry_run_is_no_job(run, registry, collection):
    run(options=JobOptions(collection=collection, dry_run=True))
    assert registry.store.find(collection=collection) == ([], 0)


def test_a_second_job_is_told_who_is_at_it_since_when(run, started, registry, collection):
    first = started()
    with pytest.raises(LeaseHeldError) as refused:
        run()
    assert f"is held by {Holder.here().who} since 2027-01-15 08:00:00 UTC" in str(refused.value)
    assert f"bothways jobs show {run.ids[0]}" in str(refused.value)
    assert "--wait" in str(refused.value)
    first.join()
    assert first.report.succeeded
    assert [job.id for job in registry.store.find(collection=collection)[0]] == run.ids[:1]
    assert run().unchanged == 20


def test_a_second_job_waits(run, started, registry):
    first = started()
    told = []

    def on_wait(error):
        told.append(error.who)
        first.join()

    second = run(wait=True, on_wait=on_wait)
    assert told == [Holder.here().who]
    assert (first.report.indexed, second.indexed, second.unchanged) == (20, 0, 20)
    one, other = (registry.store.get(job_id) for job_id in run.ids)
    assert (one.state, other.state) == ("done", "done")
    assert other.started >= one.finished


def test_a_job_that_waits_is_cancelled(run, started, registry):
    first = started()
    with pytest.raises(JobCancelledError):
        run(wait=True, on_wait=lambda _: cancel_when_queued(registry, run))
    assert registry.store.get(run.ids[1]).state == "cancelled"
    first.join()
    assert first.report.succeeded


def cancel_when_queued(registry, run):
    def cancel():
        while True:
            try:
                registry.store.cancel(run.ids[1])
                return
            except JobNotFoundError:
                pass

    threading.Thread(target=cancel).start()


def test_a_running_job_is_cancelled_by_its_record(run, started, registry, stored, es, collection):
    ended = started()
    job = registry.store.cancel(run.ids[0])
    assert (job.state, job.cancel_requested) == ("running", True)
    stop = threading.Event()
    while not stop.wait(0.02):
        heartbeat = registry.store.get(run.ids[0]).heartbeat
        if heartbeat > job.heartbeat:
            stop.set()
    ended.join()
    assert isinstance(ended.error, JobCancelledError)
    assert registry.store.get(run.ids[0]).state == "cancelled"
    with pytest.raises(JobStateError, match="cancelled already"):
        registry.store.cancel(run.ids[0])
    es[0].indices.refresh(index=f"bothways-{collection}")
    there = len(stored())
    assert run().indexed == 20 - there  # it goes on where that one stopped, and the lease is free


def test_a_stop_in_this_process_needs_no_heartbeat(run, started, es, clock):
    slow = JobRegistry(store=JobStore(es[0]), leases=Leases(es[0], clock=clock), record_every_s=1000)
    stop = Stop()
    ended = started(own_registry=slow, stop=stop)
    stop.cancelled.set()
    ended.join()
    assert isinstance(ended.error, JobCancelledError)


def test_ctrl_c(run, record, started):
    with pytest.raises(KeyboardInterrupt):
        run(writer=DyingWriter(after=3))
    assert (record().state, record().error) == ("cancelled", "It was interrupted; run it again to continue.")
    assert run().succeeded


def test_an_error_is_recorded(run, record, collection):
    run()
    with pytest.raises(Exception, match="built with"):
        run(options=JobOptions(collection=collection), progress=_raise)
    assert record().state == "failed"


def _raise(_):
    from bothways.core.errors import IncompatibleCollectionError

    raise IncompatibleCollectionError("built with another")


def test_a_job_that_slept_stops_before_it_writes_on(run, started, clock, es, collection, stored, registry):
    ended = started()
    clock.now += 31  # the laptop was closed
    ticks = Clock()
    grave = Holder(who="bo@other:7", machine="other machine", pid=7, started=1.0)
    other = Leases(es[0], clock=clock, holder=grave, ticks=ticks, pause=ticks.pause)
    lease = other.acquire(f"collection {collection}", note="another job")
    es[0].indices.refresh(index=f"bothways-{collection}")
    before = set(stored())
    ended.join()
    assert isinstance(ended.error, LeaseLostError)
    assert registry.store.get(run.ids[0]).state == "lost"
    es[0].indices.refresh(index=f"bothways-{collection}")
    assert set(stored()) == before
    lease.renew()  # nobody took it from the new holder


def test_kill_9_leaves_a_lost_job_and_its_lease_to_the_next(run, es, es_url, collection):
    registry = open_registry(es[0])
    code = (
        "import sys; from bothways.node.connect import connect\n"
        "from bothways.core.settings import load_settings\n"
        "from bothways.indexer.run import open_registry; from bothways.indexer.jobs.store import Job\n"
        "registry = open_registry(connect(load_settings(es_url=sys.argv[1]))[0])\n"
        "job = registry.store.create(Job(id=sys.argv[3], collection=sys.argv[2], state='running'))\n"
        "registry.leases.acquire('collection ' + sys.argv[2], note=job.id)\n"
        "print('runs', flush=True); sys.stdin.read()"
    )
    job_id = new_id()
    with subprocess.Popen(
        [sys.executable, "-c", code, es_url, collection, job_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "runs\n"
        with pytest.raises(LeaseHeldError, match=rf":{other.pid} since"):
            run(own_registry=registry)
        assert [job.state for job in registry.store.find(collection=collection)[0]] == ["running"]
        other.kill()
        other.wait()
    (job,) = registry.store.find(collection=collection, state="lost")[0]
    assert (job.id, job.error) == (job_id, f"{job.holder.who} has not responded since {job.heartbeat or job.created}.")
    assert run(own_registry=registry).succeeded
    assert registry.store.get(job_id).state == "lost"


def test_a_job_of_another_machine_that_falls_silent_is_lost(es, collection):
    clock = Clock()
    store = JobStore(es[0], clock=clock)
    far = Holder(who="bo@other:7", machine="other machine", pid=7, started=1.0)
    job = store.create(Job(id=new_id(), collection=collection, holder=far, state="running"))
    clock.now += 59
    assert store.get(job.id).state == "running"
    clock.now += 2
    assert store.get(job.id).state == "lost"
    assert [one.id for one in store.find(collection=collection, state="lost")[0]] == [job.id]
    store.update(job.id, state="running", heartbeat=store.now())  # it was only slow, and says so
    assert store.get(job.id).state == "running"
    clock.now += 61
    assert store.cancel(job.id).state == "cancelled"


def test_without_the_jobs_index_the_job_goes_on(run, es, clock, collection, folder):
    client, _ = es
    index = f"{collection}-blocked"
    client.indices.create(index=index, settings={"index.blocks.write": True})
    try:
        blocked = JobRegistry(
            store=JobStore(client, index=index), leases=Leases(client, clock=clock), record_every_s=0.01
        )
        with structlog.testing.capture_logs() as logs:
            report = run(own_registry=blocked)
    finally:
        client.indices.delete(index=index)
    assert (report.succeeded, report.indexed) == (True, 20)
    assert [line["event"] for line in logs if "job" in line] == ["job_not_recorded"]


def test_old_records_are_removed(es, collection):
    clock = Clock()
    index = f"{collection}-jobs"
    store = JobStore(es[0], index=index, clock=clock)
    try:
        old, young = (store.create(Job(id=new_id(clock.now), collection=collection)) for _ in range(2))
        store.end(old.id, "done")
        clock.now += 91 * 86_400
        store.end(young.id, "done")
        store.create(Job(id=new_id(clock.now), collection=collection))
        with pytest.raises(JobNotFoundError):
            store.get(old.id)
        assert store.get(young.id).state == "done"
    finally:
        es[0].indices.delete(index=index)


@pytest.mark.parametrize("job_id", ["nothing", "", "../x", "a b", "A", "x" * 100])
def test_unknown_ids(registry, job_id):
    with pytest.raises(JobNotFoundError):
        registry.store.get(job_id)


def test_options_come_back_from_json(collection):
    options = JobOptions(collection=collection, recreate=True, max_chars=99)
    kept = json.loads(json.dumps(recorded_options(options, words=["--recreate"])))
    assert options_of(replace(Job(id="x", collection=collection), options=kept)) == options
