import itertools
import threading
import time

import pytest

from bothways.core.datatypes import Chunk, ExpandedChunk, Failure
from bothways.core.errors import LLMError, LLMUnavailableError
from bothways.indexer.doc2query.expand import expand
from tests.fakes import FixedWriter


def chunk(text, number=0, heading="", title="题"):
    return Chunk(
        chunk_id=f"d{number}-0",
        doc_id=f"d{number}",
        position=0,
        title=title,
        heading=heading,
        text=text,
        source="a.txt",
    )


def chunks(count=None):
    numbers = itertools.count() if count is None else range(count)
    return (chunk(f"第{i}段文字", i) for i in numbers)


def never(failure):
    pytest.fail(f"unexpected: {failure}")


def test_without_a_writer_chunks_go_through_as_they_are():
    assert list(expand(chunks(2), None, concurrency=2, on_failure=never)) == [
        ExpandedChunk(one, (), "") for one in chunks(2)
    ]


def test_every_chunk_gets_its_questions_in_order():
    class Slow(FixedWriter):
        def write(self, one):
            time.sleep(0.02 if one.doc_id in {"d0", "d3"} else 0)
            return super().write(one)

    given = list(expand(chunks(20), Slow(), concurrency=4, on_failure=never))
    assert [one.chunk for one in given] == list(chunks(20))
    assert given[7] == ExpandedChunk(chunk("第7段文字", 7), ("问 第7段文字", "怎么办 第7段文字"), "fake/1")


def test_no_chunks_no_questions():
    assert list(expand([], FixedWriter(), concurrency=4, on_failure=never)) == []


@pytest.mark.parametrize(
    ("error", "stage", "generation"),
    [(LLMUnavailableError, "expand", "failed"), (LLMError, "refuse", "refused:fake/1")],
)
def test_a_chunk_without_an_answer_is_told_and_goes_on(error, stage, generation):
    failures = []
    writer = FixedWriter(refuse=["第2段"], error=error)
    given = list(expand(chunks(4), writer, concurrency=2, on_failure=failures.append))
    assert failures == [Failure(stage=stage, item="d2-0", reason="the model will not", title="题")]
    assert given[2] == ExpandedChunk(chunk("第2段文字", 2), (), generation)
    assert [len(one.questions) for one in given] == [2, 2, 0, 2]


def test_only_a_window_of_an_endless_source_is_taken():
    taken = itertools.count()
    last = 0

    def endless():
        nonlocal last
        for one in chunks():
            last = next(taken) + 1
            yield one

    writer = FixedWriter()
    expanded = expand(endless(), writer, concurrency=3, on_failure=never)
    assert last == 0
    for given in range(1, 30):
        next(expanded)
        assert last <= given - 1 + 2 * 3
    expanded.close()
    assert writer.calls <= last


def test_no_more_than_concurrency_at_once_and_indeed_that_many():
    class Counting(FixedWriter):
        now = most = 0
        lock = threading.Lock()
        meet = threading.Barrier(3, timeout=5)

        def write(self, one):
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            self.meet.wait()
            with self.lock:
                self.now -= 1
            return ("问题",)

    writer = Counting()
    assert len(list(expand(chunks(9), writer, concurrency=3, on_failure=never))) == 9
    assert writer.most == 3


def test_closing_drops_what_has_not_begun_and_does_not_wait():
    release = threading.Event()

    class Stuck(FixedWriter):
        def write(self, one):
            self.calls += 1
            if one.doc_id != "d0":
                release.wait(10)
            return ("问题",)

    writer = Stuck()
    expanded = expand(chunks(), writer, concurrency=2, on_failure=never)
    next(expanded)
    time.sleep(0.05)
    started = time.monotonic()
    expanded.close()
    assert time.monotonic() - started < 1
    release.set()
    time.sleep(0.05)
    assert writer.calls == 3


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_other_errors_are_not_swallowed(error):
    class Broken(FixedWriter):
        def write(self, one):
            raise error

    with pytest.raises(error):
        list(expand(chunks(5), Broken(), concurrency=2, on_failure=never))


def test_jobs_of_one_process_ask_together_as_often_as_one():
    """Two uploads at once must not double what the language model is set up for."""
    busy, most, lock = [0], [0], threading.Lock()

    class Counting(FixedWriter):
        def write(self, chunk):
            with lock:
                busy[0] += 1
                most[0] = max(most[0], busy[0])
            time.sleep(0.01)
            with lock:
                busy[0] -= 1
            return super().write(chunk)

    jobs = [
        threading.Thread(target=lambda: list(expand(chunks(12), Counting(), concurrency=2, on_failure=never)))
        for _ in range(3)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(20)
    assert most == [2]
