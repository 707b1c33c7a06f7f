"""Several workers share one job: each chunk is written once, whoever comes, goes or dies. A real Elasticsearch."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

from bothways.core.elastic.lease import Leases
from bothways.core.errors import IncompatibleCollectionError, JobCancelledError, JobStateError, LLMUnavailableError
from bothways.core.machine.holder import Holder
from bothways.indexer.jobs.record import Stop
from bothways.indexer.jobs.store import Job, JobStore, new_id
from bothways.indexer.parts import JobOptions
from bothways.indexer.report import JobReport
from bothways.indexer.run import JobRegistry, recorded_options, run_job
from bothways.indexer.workers.shards import INDEX, Order, Shard, Shards
from bothways.indexer.workers.workers import Leader, Worker
from bothways.indexer.write import Target, write
from tests.fakes import FixedWriter, make_parts

pytestmark = [pytest.mark.elasticsearch, pytest.mark.undisturbed]


@pytest.fixture
def folder(tmp_path):
    rows = [{"_id": f"r{i}", "title": f"题{i}", "text": f"第{i}条记录的内容。"} for i in range(50)]
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return docs


@pytest.fixture
def registry(es):
    return JobRegistry(store=JobStore(es[0]), leases=Leases(es[0]), record_every_s=0.1, look_again_s=0.05)


@pytest.fixture
def shards(es, registry):
    return Shards(es[0], registry.leases)


@pytest.fixture
def parts(es, segmenter):
    def make(writer=None, embedding_model="fake/hash"):
        return make_parts(es, segmenter, embedding_model=embedding_model, writer=writer)

    return make


@pytest.fixture
def lead(registry, shards, parts, folder, collection):
    """Run a shared job with shards of 4 chunks: `lead(writer=...)`; `lead.id` is known from the start."""

    def go(writer=None, **more):
        options = JobOptions(collection=collection, concurrency=1)
        job = Job(id=go.id, collection=collection, source=str(folder), options=recorded_options(options, workers=1))
        leader = Leader(shards=shards, job=go.id, collection=collection, questions="model", size=4, look_again_s=0.02)
        return run_job(folder, options, parts(writer), job, registry, write_chunks=leader.write, **more)

    go.id = new_id()
    return go


@pytest.fixture
def helper(registry, shards, parts):
    """Have a worker help in a thread; gives the worker, and after `join` what it ended with."""
    threads = []

    def start(job_id, writer=None, **more):
        @contextmanager
        def parts_for(order):
            yield parts(writer, **more)

        worker = Worker(shards=shards, store=registry.store, parts_for=parts_for, stop=Stop(), look_again_s=0.02)
        ended = []

        def work():
            try:
                ended.append(worker.help(job_id))
            except Exception as error:  # noqa: BLE001 – whatever it is, the test looks at it
                ended.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        threads.append((worker, thread))

        def join():
            thread.join(20)
            return ended[0]

        return worker, join

    yield start
    for worker, thread in threads:
        worker.stop.cancelled.set()
        thread.join(20)


class Slow(FixedWriter):
    """Takes its time, so that everybody gets a share."""

    def write(self, chunk):
        threading.Event().wait(0.02)
        return super().write(chunk)


def left(es, job_id):
    es[0].indices.refresh(index=INDEX)
    return es[0].count(index=INDEX, query={"term": {"job": job_id}})["count"]


def test_a_crew_of_one_does_what_one_process_does(lead, stored, es, registry):
    report = lead(FixedWriter())
    numbers = report.chunks, report.new, report.indexed, report.questions, report.encoded, report.llm_calls
    assert numbers == (50, 50, 50, 100, 150, 50)
    assert report.succeeded
    assert len(stored()) == 50
    assert registry.store.get(lead.id).state == "done"
    assert left(es, lead.id) == 0
    lead.id = new_id()
    again = lead(FixedWriter())
    assert (again.unchanged, again.indexed, again.llm_calls) == (50, 0, 0)


def test_workers_share_a_job(lead, helper, stored, es):
    writers = [Slow(), Slow(), Slow()]
    (one, join_one), (other, join_other) = helper(lead.id, writers[1]), helper(lead.id, writers[2])
    report = lead(writers[0])
    assert [join_one().state, join_other().state] == ["done", "done"]
    assert (report.indexed, report.questions, report.llm_calls) == (50, 100, 50)
    assert sum(writer.calls for writer in writers) == 50  # each chunk was asked for once
    assert all(writer.calls for writer in writers)
    assert [one.chunks_done, other.chunks_done] == [writers[1].calls, writers[2].calls]
    assert {len(chunk["questions"]) for chunk in stored().values()} == {2}
    assert len(stored()) == 50
    assert left(es, lead.id) == 0


def test_what_fails_with_a_worker_is_the_jobs_failure(lead, helper):
    refusing = {"refuse": [f"第{i}条" for i in range(50)], "error": LLMUnavailableError}
    _, join = helper(lead.id, FixedWriter(**refusing))
    report = lead(FixedWriter(**refusing))
    join()
    assert len(report.failures) == 50
    assert report.indexed == 50
    assert not report.succeeded


def test_a_worker_that_died_leaves_its_shard(lead, registry, shards, parts, es, collection):
    """The first shard's holder is dead, having written two of the four chunks: two questions are left to ask for."""
    writer, dead = FixedWriter(), FixedWriter()
    grave = Holder(who="al@here:1", machine=Holder.here().machine, pid=2**22 + 1, started=1.0)
    taken = []

    def die_with_the_first(_):
        if not taken:
            taken.append(Leases(es[0], holder=grave).acquire(f"shard {lead.id} 0", note=lead.id))
            shard = shards._read(lead.id, 0)
            write(shard.chunks[:2], shard.order.target, parts(dead), JobReport(collection=collection), lambda _: None)
            es[0].indices.refresh(index=shard.order.target.index)

    crew_add = Shards.add

    def add(self, shard):
        crew_add(self, shard)
        die_with_the_first(shard)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Shards, "add", add)
        report = lead(writer)
    assert (dead.calls, writer.calls) == (2, 48)
    assert (report.indexed, report.llm_calls) == (50, 48)


def test_a_cancelled_job_leaves_no_shards_and_its_workers_go(lead, helper, registry, es):
    stop = Stop()
    worker, join = helper(lead.id, Slow())

    def cancel_in_the_middle(report):
        if report.indexed >= 8:
            stop.cancelled.set()

    with pytest.raises(JobCancelledError):
        lead(Slow(), stop=stop, progress=cancel_in_the_middle)
    assert join().state == "cancelled"
    assert left(es, lead.id) == 0
    assert 0 < worker.chunks_done < 50


def test_shards_of_a_job_that_died_are_cleared(lead, shards, es, collection, segmenter):
    target = Target(index=f"bothways-{collection}-v1", origin="/gone", concurrency=1)
    leader = Leader(shards=shards, job="the-dead-job", collection=collection, questions="none")
    list(
        leader.share(
            [],
            target,
            make_parts(es, segmenter),
        )
    )
    order = Order(
        collection=collection,
        target=target,
        embedding_model="fake/hash",
        analyzer=segmenter.name,
        questions="none",
        generation="",
    )
    shards.add(Shard(job="the-dead-job", number=0, order=order, chunks=[]))
    assert left(es, "the-dead-job") == 1
    assert lead().succeeded
    assert left(es, "the-dead-job") == 0


@pytest.mark.parametrize(
    ("mine", "told"),
    [
        ({"embedding_model": "fake/other"}, "embedding model 'fake/hash', this worker has 'fake/other'"),
        ({"writer": None}, "questions 'fake/1', this worker has 'none'"),
    ],
)
def test_a_worker_that_differs_is_refused(lead, helper, mine, told):
    _, join = helper(lead.id, **({"writer": FixedWriter()} | mine))
    assert lead(Slow()).succeeded
    error = join()
    assert isinstance(error, IncompatibleCollectionError)
    assert told in str(error)


def test_a_job_of_one_process_is_not_joined(registry, helper, collection, shards):
    job = registry.store.create(Job(id=new_id(), collection=collection, state="running", options={}))
    _, join = helper(job.id)
    error = join()
    assert isinstance(error, JobStateError)
    assert "--workers" in str(error)


def test_an_order_survives_json(collection):
    order = Order(
        collection=collection,
        target=Target(index="i", origin="/o", concurrency=3, generations=frozenset({"b", "a"})),
        embedding_model="m",
        analyzer="jieba",
        questions="/q.jsonl",
        generation="g",
    )
    assert Order.from_json(json.loads(json.dumps(order.as_json()))) == order
    plain = replace(order, target=Target(index="i", origin="/o", concurrency=3))
    assert Order.from_json(plain.as_json()) == plain
