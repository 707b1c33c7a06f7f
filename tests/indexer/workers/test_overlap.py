"""Two stages at once: order, bounds, and how everything ends."""

import threading

import pytest

from bothways.indexer.workers.overlap import overlapped

PATIENCE_S = 10


def run(work, items, *, threads=2, ahead=3, stop=None):
    return overlapped(work, items, threads=threads, ahead=ahead, stop=stop or threading.Event(), name="test")


def names():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("test")]


def test_results_come_in_order_and_all_threads_end():
    assert list(run(lambda number: number * number, range(20))) == [number * number for number in range(20)]
    assert names() == []


def test_nothing_in_nothing_out():
    assert list(run(str, [])) == []


def test_the_caller_goes_on_while_the_work_is_done():
    """The work of one item waits for something that the caller does only after it has pulled the next item."""
    pulled = threading.Event()

    def items():
        yield "first"
        pulled.set()
        yield "second"

    def work(item):
        assert pulled.wait(PATIENCE_S)
        return item

    assert list(run(work, items(), threads=1, ahead=2)) == ["first", "second"]


def test_no_more_than_ahead_is_taken():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = run(str, items(), ahead=3)
    assert taken == []
    assert next(results) == "0"
    assert taken == [0, 1, 2]
    assert next(results) == "1"
    assert taken == [0, 1, 2, 3]
    results.close()
    assert names() == []


def test_no_more_than_threads_work_at_once():
    lock = threading.Lock()
    both = threading.Barrier(2, timeout=PATIENCE_S)
    at_work, most = 0, 0

    def work(_):
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        both.wait()
        with lock:
            at_work -= 1

    list(run(work, range(8), threads=2, ahead=6))
    assert most == 2


class OddError(Exception):
    pass


def test_an_error_of_the_work_keeps_its_type_and_ends_everything():
    stop = threading.Event()

    def work(number):
        if number == 3:
            raise OddError("number three")
        return number

    results = run(work, range(100), stop=stop)
    with pytest.raises(OddError, match="number three"):
        list(results)
    assert stop.is_set()
    assert names() == []


@pytest.mark.parametrize("error", [OddError("out of items"), KeyboardInterrupt()])
def test_an_error_of_the_items_ends_everything_and_what_has_begun_is_finished(error):
    stop, begun, finished = threading.Event(), threading.Event(), []

    def items():
        yield "first"
        assert begun.wait(PATIENCE_S)
        raise error

    def work(item):
        begun.set()
        assert stop.wait(PATIENCE_S)  # told to end …
        finished.append(item)  # … and waited for

    with pytest.raises(type(error)):
        list(run(work, items(), threads=1, ahead=4, stop=stop))
    assert finished == ["first"]
    assert names() == []


def test_what_has_not_begun_is_dropped():
    stop, begun, done = threading.Event(), threading.Event(), []

    def items():
        yield from range(3)
        assert begun.wait(PATIENCE_S)
        raise OddError

    def work(item):
        begun.set()
        assert stop.wait(PATIENCE_S)
        done.append(item)

    with pytest.raises(OddError):
        list(run(work, items(), threads=1, ahead=4, stop=stop))
    assert done == [0]
