"""Alone on a collection: jobs are not waited for, others who delete are. A real Elasticsearch."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from bothways.core.collections import lease as collection_lease
from bothways.core.collections.lease import alone_on, lease_name
from bothways.core.elastic.lease import Leases
from bothways.core.errors import LeaseHeldError

pytestmark = pytest.mark.elasticsearch


@pytest.fixture
def name(es):
    name = f"test-{uuid.uuid4().hex}"
    yield name
    es[0].options(ignore_status=404).delete(index="bothways-leases", id=lease_name(name))


def test_a_job_is_named_and_not_waited_for(es, name, monkeypatch):
    monkeypatch.setattr(collection_lease, "PATIENCE_S", 1000.0)
    lease = Leases(es[0]).acquire(lease_name(name), note="job-1")
    with pytest.raises(LeaseHeldError, match="The job job-1 writes the collection, so nothing was changed") as refused:
        alone_on(es[0], name).__enter__()
    assert refused.value.note == "job-1"
    assert "`bothways jobs cancel job-1`" in str(refused.value)
    lease.release()
    with alone_on(es[0], name) as ours:
        ours.check()
        with pytest.raises(LeaseHeldError):
            Leases(es[0]).acquire(lease_name(name), note="job-2")
    Leases(es[0]).acquire(lease_name(name)).release()


def test_a_job_that_has_ended_lets_go_in_a_moment(es, name):
    lease = Leases(es[0]).acquire(lease_name(name), note="job-1")
    threading.Timer(0.2, lease.release).start()
    with alone_on(es[0], name) as ours:
        ours.check()


def test_many_who_delete_take_turns(es, name):
    inside, most, done = 0, 0, threading.Lock()

    def delete():
        nonlocal inside, most
        with alone_on(es[0], name):
            with done:
                inside += 1
                most = max(most, inside)
            es[0].options(ignore_status=404).get(index="bothways-leases", id=lease_name(name))
            with done:
                inside -= 1

    with ThreadPoolExecutor(8) as pool:
        for one in [pool.submit(delete) for _ in range(8)]:
            one.result()
    assert most == 1


def test_patience_ends(es, name, monkeypatch):
    monkeypatch.setattr(collection_lease, "PATIENCE_S", 0.2)
    with (
        alone_on(es[0], name),
        pytest.raises(LeaseHeldError, match="deletes or rolls back there; this one changed nothing"),
    ):
        alone_on(es[0], name).__enter__()
