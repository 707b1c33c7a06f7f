"""Uploads on disk: names that cannot lead elsewhere, all or nothing, and a full disk."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import time

import pytest
import structlog

from bothways.core.errors import StorageFullError, UsageError
from bothways.indexer.uploads.spool import Spool, safe_name

JOB = "20261121-100000-000aaaaaa"
LATER = "20261121-100000-001aaaaaa"


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "uploads")


def receive(spool, job_id=JOB, **files):
    with spool.receive(job_id, "law") as incoming:
        for name, content in files.items():
            incoming.add(name.replace("_", "."), io.BytesIO(content))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("leave.md", "leave.md"),
        ("劳动法 2024.pdf", "劳动法 2024.pdf"),
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\docs\\plan.txt", "plan.txt"),
        ("/abs/a.txt", "a.txt"),
        ("..hidden.txt", "hidden.txt"),
        ("a\x00b\n.txt", "a_b_.txt"),
        ("e\u0301.txt", "é.txt"),
        ("half\ud800.txt", "half?.txt"),
    ],
)
def test_names(given, name):
    assert safe_name(given) == name


@pytest.mark.parametrize("given", ["", ".", "..", "a/", "  ", "x/..", "\\"])
def test_names_of_which_nothing_is_left(given):
    with pytest.raises(UsageError, match="cannot be the name"):
        safe_name(given)


def test_long_names_stay_apart_and_keep_their_type():
    one, other = safe_name("长" * 100 + "一.pdf"), safe_name("长" * 100 + "二.pdf")
    assert one != other
    assert one.endswith(".pdf")
    assert len(one.encode()) <= 200


def test_received_files_wait_in_the_order_in_which_they_came(spool):
    receive(spool, LATER, b_txt=b"2")
    receive(spool, JOB, a_txt=b"1")
    first, second = spool.waiting()
    assert (first.id, second.id, first.collection, first.attempts) == (JOB, LATER, "law", 0)
    assert (first.folder / "a.txt").read_bytes() == b"1"


def test_an_upload_that_fails_in_the_middle_leaves_nothing(spool):
    with pytest.raises(UsageError):
        receive(spool, a_txt=b"1", A_txt=b"2")
    assert spool.waiting() == []
    assert not list(spool.folder.rglob("a.txt"))


def test_two_files_of_one_name(spool):
    with pytest.raises(UsageError, match="Two files"):
        receive(spool, **{"x/a.txt": b"1", "y/A.txt": b"2"})


def test_a_full_disk(spool, monkeypatch):
    class Full(io.BytesIO):
        def read(self, *_):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageFullError, match="is full"), spool.receive(JOB, "law") as incoming:
        incoming.add("a.txt", Full())
    assert spool.waiting() == []


def test_kept_files_are_queued_again_under_another_id(spool):
    receive(spool, a_txt=b"1")
    (upload,) = spool.waiting()
    spool.note(upload, attempts=2)
    assert spool.waiting()[0].attempts == 2
    spool.keep(upload)
    assert spool.waiting() == []
    assert spool.has_kept(JOB)
    spool.again(JOB, LATER)
    (again,) = spool.waiting()
    assert (again.id, again.attempts) == (LATER, 0)
    assert (again.folder / "a.txt").read_bytes() == b"1"
    spool.discard(again)
    assert spool.waiting() == []
    with pytest.raises(UsageError, match="not kept any more"):
        spool.again(JOB, LATER)


@pytest.mark.parametrize("job_id", ["../x", "", "a/b", "."])
def test_ids_lead_nowhere_else(spool, job_id):
    assert not spool.has_kept(job_id)
    with pytest.raises(UsageError), spool.receive(job_id, "law"):
        pass


def test_sweeping(spool):
    receive(spool, JOB, a_txt=b"1")
    receive(spool, LATER, a_txt=b"1")
    for upload in spool.waiting():
        spool.keep(upload)
    old = time.time() - 8 * 86_400
    os.utime(spool.folder / "kept" / JOB, (old, old))
    half = spool.folder / "incoming" / "20260101-100000-000aaaaaa"
    half.mkdir(parents=True)
    os.utime(half, (old, old))
    with structlog.testing.capture_logs() as logs:
        spool.sweep()
    assert (spool.has_kept(JOB), spool.has_kept(LATER), half.exists()) == (False, True, False)
    assert [(line["event"], line["job"], line["files"]) for line in logs] == [("failed_upload_removed", JOB, ["a.txt"])]


DYING = """
import io, os, sys
from pathlib import Path
from bothways.indexer.uploads.spool import Spool
with Spool(Path(sys.argv[1])).receive(sys.argv[2], "law") as incoming:
    incoming.add("a.txt", io.BytesIO(b"1"))
    if sys.argv[3] == "all there":
        incoming.all_there()
    if sys.argv[3] == "lives":
        print("receives", flush=True)
        sys.stdin.read()
    else:
        os._exit(9)
"""


def receiver(spool, how, **pipes):
    return subprocess.Popen([sys.executable, "-c", DYING, str(spool.folder), JOB, how], text=True, **pipes)


def test_what_a_dead_server_had_received_is_queued(spool):
    assert receiver(spool, "all there").wait() == 9
    assert spool.waiting() == []
    assert spool.holds(JOB)
    spool.sweep()
    (upload,) = spool.waiting()
    assert (upload.id, upload.collection) == (JOB, "law")
    assert (upload.folder / "a.txt").read_bytes() == b"1"
    assert list((spool.folder / "incoming").iterdir()) == []


def test_what_a_dead_server_had_received_in_part_is_removed(spool):
    assert receiver(spool, "half").wait() == 9
    spool.sweep()
    assert spool.waiting() == []
    assert not spool.holds(JOB)
    assert list((spool.folder / "incoming").iterdir()) == []


def test_what_a_living_server_receives_is_left_alone(spool):
    with receiver(spool, "lives", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == "receives\n"
        spool.sweep()
        assert (spool.folder / "incoming" / JOB / "files" / "a.txt").exists()
        other.stdin.close()
        assert other.wait() == 0
    spool.sweep()
    assert [upload.id for upload in spool.waiting()] == [JOB]


def test_a_folder_has_a_name_that_stays(spool, tmp_path):
    assert spool.name == Spool(spool.folder).name
    assert spool.name != Spool(tmp_path / "other").name
