"""Whose turn it is among the collections that uploads wait for."""

from __future__ import annotations

from bothways.indexer.uploads.scheduler import Scheduler
from tests.fakes import Clock


def test_a_slot_a_collection_and_no_more_than_there_are():
    scheduler = Scheduler(2)
    assert [scheduler.take(["a", "a", "b", "c"]) for _ in range(3)] == ["a", "b", None]
    scheduler.release("a")
    assert scheduler.take(["a", "c"]) == "c"
    scheduler.release("b")
    assert scheduler.take(["a", "c"]) == "a"


def test_a_long_queue_gives_way_after_each_upload():
    scheduler = Scheduler(1)
    waiting = ["long", "long", "long", "b", "c"]
    turns = []
    while waiting:
        taken = scheduler.take(waiting)
        turns.append(taken)
        waiting.remove(taken)
        scheduler.release(taken)
    assert turns == ["long", "b", "c", "long", "long"]


def test_one_that_is_to_be_tried_later_holds_nobody_up():
    clock = Clock()
    scheduler = Scheduler(2, clock=clock)
    assert scheduler.take(["a", "b"]) == "a"
    scheduler.release("a", again_after_s=5)
    assert [scheduler.take(["a", "b"]), scheduler.take(["a", "b"])] == ["b", None]
    assert scheduler.next_try_s(["a", "b"]) == 5.0
    assert scheduler.next_try_s(["b"]) is None
    clock.now += 5
    assert scheduler.take(["a", "b"]) == "a"
    assert scheduler.next_try_s(["a", "b"]) is None


def test_later_may_become_now():
    scheduler = Scheduler(2, clock=Clock())
    scheduler.take(["a"])
    scheduler.release("a", again_after_s=5)
    scheduler.retry_now()
    assert scheduler.take(["a"]) == "a"
