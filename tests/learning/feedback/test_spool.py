"""The spool on disk: what it holds, what it drops, and whose segments are whose."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal

import orjson
import pytest
import structlog

from bothways.learning.feedback.rows import Row
from bothways.learning.feedback.spool import Spool, refused_in, waiting_in
from tests.fakes import Clock


def row(number, **more):
    return Row(f"{number:032x}", {"kind": "event", "timestamp": "2027-01-15T08:00:00.000+00:00", **more})


@pytest.fixture
def spool(tmp_path):
    opened = Spool(tmp_path / "feedback", limit=100_000)
    opened.open()
    yield opened
    opened.close()


def shipped(spool):
    """Read and discard all that waits."""
    rows = []
    for path in spool.waiting():
        found, torn = spool.read(path)
        assert torn == 0
        rows += found
        spool.discard(path)
    return rows


def test_rows_come_out_as_they_went_in_and_in_order(spool):
    rows = [row(n, text="路上有人晕倒\n我不救会怎样？\u2028\r") for n in range(3)]
    assert all(spool.append(one) for one in rows)
    assert shipped(spool) == rows
    assert shipped(spool) == []
    assert spool.size == 0


def test_a_row_is_on_disk_when_append_returns(spool):
    spool.append(row(1))
    (segment,) = spool.folder.glob("*.jsonl")
    assert waiting_in(spool.folder) == segment.stat().st_size > 0
    assert orjson.loads(segment.read_bytes())["_id"] == row(1).id


def test_segments_end_at_their_size(tmp_path):
    spool = Spool(tmp_path, limit=100_000, segment_bytes=300)
    spool.open()
    line = len(orjson.dumps({"_id": row(1).id, "_source": row(1).source})) + 1
    assert 150 > line > 100
    for number in range(7):
        spool.append(row(number))
    # Each segment takes rows until it has 300 bytes: three rows.
    assert sorted(path.stat().st_size for path in tmp_path.glob("*.jsonl")) == [line, 3 * line, 3 * line]
    assert shipped(spool) == [row(number) for number in range(7)]
    spool.close()


def test_what_is_appended_while_segments_are_shipped_waits_for_the_next_time(spool):
    spool.append(row(1))
    first = spool.waiting()
    spool.append(row(2))
    assert [spool.read(path)[0] for path in first] == [[row(1)]]
    spool.discard(first[0])
    assert shipped(spool) == [row(2)]


def test_a_full_spool_drops_counts_and_says_so_once_a_minute(tmp_path):
    dropped, clock = [], Clock()
    spool = Spool(tmp_path, limit=250, dropped=dropped.append, clock=clock)
    spool.open()
    with structlog.testing.capture_logs() as logs:
        kept = [spool.append(row(number)) for number in range(10)]
        assert kept == [True] * 2 + [False] * 8
        clock.now += 61
        assert not spool.append(row(10))
    assert sum(dropped) == 9
    assert [(one["event"], one["rows"]) for one in logs] == [("feedback_dropped", 1), ("feedback_dropped", 8)]
    assert "bytes wait in" in logs[0]["reason"]
    assert shipped(spool) == [row(0), row(1)]
    assert spool.append(row(11))  # there is room again
    spool.close()


def test_what_an_earlier_process_left_counts_as_well(tmp_path):
    (tmp_path / "1-a.00000001.jsonl").write_bytes(b"x" * 200)
    spool = Spool(tmp_path, limit=250)
    spool.open()
    assert not spool.append(row(1))
    spool.close()


def test_a_disk_that_takes_half_a_line(spool, monkeypatch):
    spool.append(row(1))
    real = spool._file

    class Full:
        """The last bytes of a disk: half of the line fits."""

        def write(self, line):
            return real.write(line[: len(line) // 2])

        def __getattr__(self, name):
            return getattr(real, name)

    spool._file = Full()
    assert not spool.append(row(2))
    spool._file = real
    assert spool.append(row(3))
    assert shipped(spool) == [row(1), row(3)]


def _write_with_little_room(folder, kept):
    """A real limit of the system on the size of files: it takes what fits of a line, and then nothing."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
    spool = Spool(folder, limit=100_000)
    spool.open()
    kept.extend([spool.append(row(number)) for number in range(6)])
    spool.close()


def test_a_disk_that_is_full(tmp_path):
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        kept = manager.list()
        other = context.Process(target=_write_with_little_room, args=(tmp_path, kept))
        other.start()
        other.join(30)
        assert list(kept) == [True, True, False, False, False, False]
    spool = Spool(tmp_path, limit=100_000)
    spool.open()
    assert shipped(spool) == [row(0), row(1)]
    spool.close()


def test_what_is_not_json_is_dropped_and_no_search_fails(spool):
    assert not spool.append(row(1, text="\ud800"))
    assert not spool.append(row(1, value=object()))
    assert shipped(spool) == []


def test_a_torn_last_line_is_skipped_and_counted(tmp_path):
    path = tmp_path / "1-a.00000001.jsonl"
    whole = orjson.dumps({"_id": "a", "_source": {"kind": "event"}}) + b"\n"
    path.write_bytes(whole + whole[:20])
    rows, torn = Spool.read(path)
    assert ([one.id for one in rows], torn) == (["a"], 1)
    path.write_bytes(whole + b"[]\n" + b'"x"\n')
    assert Spool.read(path)[1] == 2


def _fill_and_wait(folder, filled):
    spool = Spool(folder, limit=100_000)
    spool.open()
    spool.append(row(7))
    filled.set()
    signal.pause()


def test_segments_of_a_living_process_are_left_to_it_and_those_of_a_killed_one_are_taken(spool):
    context = multiprocessing.get_context("spawn")
    filled = context.Event()
    other = context.Process(target=_fill_and_wait, args=(spool.folder, filled))
    other.start()
    assert filled.wait(30)
    assert len(list(spool.folder.glob("*.jsonl"))) == 1
    assert spool.waiting() == []
    os.kill(other.pid, signal.SIGKILL)
    other.join()
    assert shipped(spool) == [row(7)]
    spool.append(row(8))
    assert [path.suffix for path in spool.folder.iterdir()].count(".lock") == 1


def test_before_and_after_nothing_is_taken(tmp_path):
    dropped = []
    spool = Spool(tmp_path, limit=1000, dropped=dropped.append)
    assert not spool.append(row(1))
    spool.open()
    assert spool.append(row(2))
    spool.close()
    assert not spool.append(row(3))
    assert len(dropped) == 2
    after = Spool(tmp_path, limit=1000)
    after.open()
    assert shipped(after) == [row(2)]
    after.close()


def test_refused_rows_are_kept_for_people_up_to_a_share(tmp_path):
    spool = Spool(tmp_path, limit=2400)
    spool.open()
    spool.refuse([])
    assert not list(tmp_path.glob("*.refused"))
    spool.refuse([(row(1), "why"), (row(2), "why")])
    spool.refuse([(row(3), "why")])
    (path,) = tmp_path.glob("*.refused")
    assert [orjson.loads(line)["reason"] for line in path.read_bytes().splitlines()] == ["why", "why"]
    assert path.stat().st_size <= 300
    assert refused_in(tmp_path) == 2
    spool.close()
