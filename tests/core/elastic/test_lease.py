"""Leases against a real Elasticsearch: one holder at a time, taken over from the dead, noticed by the slow."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from dataclasses import replace

import pytest
import structlog
from elasticsearch import Elasticsearch

from bothways.core.elastic.lease import Leases
from bothways.core.errors import LeaseHeldError, LeaseLostError
from bothways.core.machine.holder import Holder
from bothways.node.connect import connect
from tests.fakes import Clock

pytestmark = pytest.mark.elasticsearch


OTHER = Holder(who="bo@other:7", machine="other machine", pid=7, started=1.0)
DAY = 86_400.0


@pytest.fixture
def name(es):
    name = f"test {uuid.uuid4().hex}"
    yield name
    es[0].options(ignore_status=404).delete(index="bothways-leases", id=name)


@pytest.fixture
def ticks():
    return Clock()


@pytest.fixture
def leases(es, clock, ticks):
    return Leases(es[0], ttl_s=30, clock=clock, ticks=ticks, pause=ticks.pause)


@pytest.fixture
def elsewhere(es, clock, ticks):
    """The same leases, from another machine."""
    return Leases(es[0], ttl_s=30, clock=clock, ticks=ticks, pause=ticks.pause, holder=OTHER)


def test_one_holder_at_a_time(leases, elsewhere, name, clock):
    lease = leases.acquire(name, note="job 1")
    clock.now += 29
    with pytest.raises(LeaseHeldError, match=rf"held by {Holder.here().who} since 2027-01-15 08:00:00 UTC") as refused:
        elsewhere.acquire(name)
    assert refused.value.note == "job 1"
    lease.release()
    assert elsewhere.acquire(name).taken_from is None


def test_a_name_is_no_other_name(leases, elsewhere, name):
    leases.acquire(name)
    other = elsewhere.acquire(f"{name}/shard 1")
    other.release()


def test_a_holder_that_is_not_heard_of_is_taken_over_from_and_stops(leases, elsewhere, name, clock):
    slow = leases.acquire(name, note="job 1")
    clock.now += 31
    taken = elsewhere.acquire(name)
    assert taken.taken_from.note == "job 1"
    with pytest.raises(LeaseLostError, match="took over"):
        slow.check()
    with pytest.raises(LeaseLostError):
        slow.check()  # from now on without asking
    slow.release()  # and that takes nothing from the new holder
    taken.renew()


@pytest.mark.parametrize("off_by", [DAY, -DAY, 61, -61])
def test_a_dead_holder_whose_clock_was_wrong_locks_nothing_for_ever(es, leases, name, clock, ticks, off_by):
    wrong = Clock()
    wrong.now = clock.now + off_by
    Leases(es[0], ttl_s=30, clock=wrong, holder=OTHER).acquire(name, note="job 1")
    started = ticks.now
    with structlog.testing.capture_logs() as logs:
        assert leases.acquire(name).taken_from.note == "job 1"
    assert 30 <= ticks.now - started < 33
    assert [(line["event"], line["holder"]) for line in logs] == [("lease_watched", OTHER.who)]


@pytest.mark.parametrize("off_by", [DAY, -DAY])
def test_a_living_holder_whose_clock_is_wrong_keeps_its_lease(es, name, clock, ticks, off_by):
    wrong = Clock()
    wrong.now = clock.now + off_by
    lease = Leases(es[0], ttl_s=30, clock=wrong, holder=OTHER).acquire(name)

    def pause(seconds):
        ticks.pause(seconds)
        if ticks.now - started > 9:
            wrong.now += 10
            lease.renew()

    started = ticks.now
    with pytest.raises(LeaseHeldError):
        Leases(es[0], ttl_s=30, clock=clock, ticks=ticks, pause=pause).acquire(name)
    assert ticks.now - started < 12
    lease.check()


def test_who_looks_again_and_again_waits_no_longer_than_who_watches(es, leases, name, clock, ticks):
    wrong = Clock()
    wrong.now = clock.now + DAY
    lease = Leases(es[0], ttl_s=30, clock=wrong, holder=OTHER).acquire(name)
    for _ in range(5):
        with pytest.raises(LeaseHeldError):
            leases.acquire(name, watch=False)
        ticks.now += 5
    lease.renew()  # and it is heard of again
    for _ in range(6):
        with pytest.raises(LeaseHeldError):
            leases.acquire(name, watch=False)
        ticks.now += 5
    assert leases.acquire(name, watch=False).taken_from.holder == OTHER


def test_a_holder_whose_clock_is_set_back_still_asks_whether_it_is_the_holder(leases, elsewhere, name, clock):
    lease = leases.acquire(name)
    clock.now += 31
    elsewhere.acquire(name)
    clock.now -= 3600
    with pytest.raises(LeaseLostError):
        lease.check()


def test_a_holder_that_slept_and_was_not_taken_over_from_goes_on(leases, elsewhere, name, clock):
    lease = leases.acquire(name)
    clock.now += 3600
    lease.check()
    with pytest.raises(LeaseHeldError):
        elsewhere.acquire(name)


def test_heartbeats_keep_it(leases, elsewhere, name, clock):
    lease = leases.acquire(name)
    for _ in range(4):
        clock.now += 20
        lease.renew()
    with pytest.raises(LeaseHeldError):
        elsewhere.acquire(name)


def test_the_heartbeat_renews_without_being_asked(es, name):
    with Leases(es[0], ttl_s=0.3).hold(name) as lease:
        first = lease._held.renewed
        renewed = threading.Event()
        while not renewed.wait(0.02):
            if lease._held.renewed > first:
                renewed.set()
    assert Leases(es[0]).read(name) is None


def test_a_dead_process_of_this_machine_is_taken_over_from_at_once(es, es_url, name, leases, clock):
    code = (
        "import sys; from bothways.node.connect import connect; from bothways.core.elastic.lease import Leases\n"
        "from bothways.core.settings import load_settings; client, _ = connect(load_settings(es_url=sys.argv[1])); "
        "Leases(client, ttl_s=1e9).acquire(sys.argv[2]); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, es_url, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LeaseHeldError, match=rf":{other.pid} since"):
            leases.acquire(name)
        other.kill()
        other.wait()
        assert leases.acquire(name).taken_from.holder.pid == other.pid


def test_a_pid_that_is_used_again_is_another_process():
    assert not Holder.here().is_known_dead()
    assert replace(Holder.here(), started=1.0).is_known_dead()
    assert not replace(Holder.here(), started=1.0, machine="elsewhere").is_known_dead()


def test_an_answer_that_got_lost_is_not_taken_for_another_holder(leases, name):
    lease = leases.acquire(name)
    before = lease._version
    lease.renew()
    lease._version = before  # as if the answer to the renewal had not come through
    lease.renew()
    lease.renew()


def test_a_lease_that_was_removed_is_lost(es, leases, name):
    lease = leases.acquire(name)
    es[0].delete(index="bothways-leases", id=name)
    with pytest.raises(LeaseLostError):
        lease.renew()


def test_of_many_at_once_one_wins(es, name):
    start = threading.Barrier(8)
    won, refused = [], []

    def run(number):
        mine = Leases(es[0], holder=Holder(who=f"p{number}"))
        start.wait()
        try:
            won.append(mine.acquire(name))
        except LeaseHeldError:
            refused.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(refused)) == (1, 7)


def test_of_many_who_take_over_one_wins(es, leases, name, clock):
    leases.acquire(name)
    late = Clock()
    late.now = clock.now + 31
    start = threading.Barrier(6)
    won = []

    def run(number):
        ticks = Clock()
        mine = Leases(es[0], clock=late, holder=Holder(who=f"p{number}"), ticks=ticks, pause=ticks.pause)
        start.wait()
        try:
            won.append(mine.acquire(name))
        except LeaseHeldError:
            pass

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_while_elasticsearch_is_away_the_work_is_not_stopped_by_the_lease(es, es_settings, name, clock):
    client, _ = connect(es_settings)
    lease = Leases(client, ttl_s=30, clock=clock).acquire(name)
    lease._leases._client = Elasticsearch("http://127.0.0.1:9", max_retries=0)
    clock.now += 29
    lease.check()
    with structlog.testing.capture_logs() as logs:
        lease._beat()
    assert [line["event"] for line in logs] == ["lease_not_renewed"]
    lease._leases._client.close()
    lease._leases._client = client
    lease.check()
    lease.release()
    client.close()
