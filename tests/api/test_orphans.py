"""A server that dies while it takes an upload in: the next one goes on, or says that the files never arrived."""

from __future__ import annotations

import io
import os
from dataclasses import replace

import pytest

from bothways.core.errors import StorageFullError
from bothways.core.machine.holder import Holder
from bothways.indexer.jobs.store import Job, JobStore, new_id
from bothways.indexer.parts import JobOptions
from bothways.indexer.run import JobRegistry, open_registry
from bothways.indexer.uploads.orphans import SPOOL
from bothways.indexer.uploads.queue import Uploads
from bothways.indexer.uploads.spool import Spool
from tests.waiting import until

pytestmark = pytest.mark.elasticsearch

DEAD = replace(Holder.here(), started=1.0)


@pytest.fixture
def store(es, collection):
    return JobStore(es[0])


@pytest.fixture
def serve(es, tmp_path):
    """Start the uploads of a server, which run nothing: `serve(folder)`; they are ended with the test."""
    running = []

    def start(name="cache"):
        uploads = Uploads(
            Spool(tmp_path / name),
            registry=lambda: open_registry(es[0]),
            parts=None,
            options=JobOptions(collection=""),
            again_after_s=0.05,
        )
        uploads.start = lambda: None
        running.append(uploads)
        return uploads

    yield start
    for uploads in running:
        uploads.close()


def queued(store, collection, **fields):
    return store.create(Job(id=new_id(), collection=collection, kind="upload", files=("a.txt",), **fields))


def test_a_queued_record_whose_files_never_arrived_ends(serve, store, collection):
    uploads = serve()
    stranded = queued(store, collection, options={SPOOL: uploads._spool.name})
    before_folders_had_names = queued(store, collection, holder=DEAD)
    uploads.resume()
    for job in (stranded, before_folders_had_names):
        ended = until(lambda job=job: (found := store.get(job.id)).has_ended and found)
        assert (ended.state, "upload them again" in ended.error) == ("lost", True)
        assert ended.finished is not None


def test_records_whose_files_are_there_or_are_other_servers_stay(serve, store, collection):
    uploads, other = serve(), serve("other")
    with uploads._spool.receive(waits := new_id(), collection):
        pass
    store.create(Job(id=waits, collection=collection, kind="upload", options={SPOOL: uploads._spool.name}))
    elsewhere = queued(store, collection, options={SPOOL: other._spool.name}, holder=DEAD)
    living = queued(store, collection)
    stranded = queued(store, collection, options={SPOOL: uploads._spool.name})
    with uploads._spool.receive(arrives := new_id(), collection):
        store.create(Job(id=arrives, collection=collection, kind="upload", options={SPOOL: uploads._spool.name}))
        uploads.resume()
        until(lambda: store.get(stranded.id).has_ended)
    assert [store.get(job_id).state for job_id in (waits, elsewhere.id, living.id, arrives)] == ["queued"] * 4


def test_a_retry_that_was_cut_off_says_what_to_retry(serve, store, collection):
    uploads = serve()
    (uploads._spool.folder / "kept" / "the-first").mkdir(parents=True)
    job = queued(store, collection, retry_of="the-first", options={SPOOL: uploads._spool.name})
    uploads.resume()
    assert "retry the job the-first" in until(lambda: (found := store.get(job.id)).has_ended and found).error


def test_records_are_ended_when_elasticsearch_is_back(serve, store, collection, es):
    uploads = serve()
    stranded = queued(store, collection, options={SPOOL: uploads._spool.name})
    tries = []

    def registry():
        tries.append(True)
        client = es[0] if len(tries) > 2 else es[0].__class__("http://127.0.0.1:9", max_retries=0)
        return JobRegistry(store=JobStore(client), leases=None)

    uploads._registry = registry
    uploads.resume()
    assert until(lambda: (found := store.get(stranded.id)).has_ended and found).state == "lost"
    assert len(tries) == 3


def test_a_move_that_fails_leaves_no_record_that_waits(serve, store, collection, monkeypatch):
    uploads = serve()

    def full(*_):
        raise OSError(28, os.strerror(28))

    assert uploads._spool.name
    monkeypatch.setattr("bothways.indexer.uploads.spool.Path.replace", full)
    monkeypatch.setattr("bothways.indexer.uploads.spool._write_note", lambda *_: None)
    monkeypatch.setattr("bothways.indexer.uploads.spool.Incoming.all_there", lambda _: None)
    with pytest.raises(StorageFullError):
        uploads.submit(collection, [("a.txt", io.BytesIO(b"1"))])
    found, total = store.find(collection=collection)
    assert (total, found[0].state, "is full" in found[0].error) == (1, "failed", True)


def test_a_run_of_the_command_line_that_died_while_it_waited_is_lost(store, collection):
    waits = store.create(Job(id=new_id(), collection=collection, heartbeat=store.now()))
    died = store.create(Job(id=new_id(), collection=collection, holder=DEAD))
    states = {job.id: job.state for job in store.find(collection=collection)[0]}
    assert states == {waits.id: "queued", died.id: "lost"}
