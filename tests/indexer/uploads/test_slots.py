"""Whose turn it is among the collections that uploads wait for."""

from __future__ import annotations

from bothways.indexer.uploads.slots import Slots
from tests.fakes import Clock


def test_a_slot_a_collection_and_no_more_than_there_are():
    slots = Slots(2)
    assert [slots.take(["a", "a", "b", "c"]) for _ in range(3)] == ["a", "b", None]
    slots.give_back("a")
    assert slots.take(["a", "c"]) == "c"
    slots.give_back("b")
    assert slots.take(["a", "c"]) == "a"


def test_a_long_queue_gives_way_after_each_upload():
    slots = Slots(1)
    waiting = ["long", "long", "long", "b", "c"]
    turns = []
    while waiting:
        taken = slots.take(waiting)
        turns.append(taken)
        waiting.remove(taken)
        slots.give_back(taken)
    assert turns == ["long", "b", "c", "long", "long"]


def test_one_that_is_to_be_tried_later_holds_nobody_up():
    clock = Clock()
    slots = Slots(2, clock=clock)
    assert slots.take(["a", "b"]) == "a"
    slots.give_back("a", again_after_s=5)
    assert [slots.take(["a", "b"]), slots.take(["a", "b"])] == ["b", None]
    assert slots.next_try_s(["a", "b"]) == 5.0
    assert slots.next_try_s(["b"]) is None
    clock.now += 5
    assert slots.take(["a", "b"]) == "a"
    assert slots.next_try_s(["a", "b"]) is None


def test_later_may_become_now():
    slots = Slots(2, clock=Clock())
    slots.take(["a"])
    slots.give_back("a", again_after_s=5)
    slots.try_at_once()
    assert slots.take(["a"]) == "a"
