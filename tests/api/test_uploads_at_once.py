"""Uploads to several collections at once, and files that hang or crash what reads them; a real Elasticsearch."""

from __future__ import annotations

import threading
import time

import pytest
from filelock import FileLock

from bothways.core.errors import StorageFullError
from bothways.indexer.read.child.pool import end_readers
from bothways.indexer.uploads.scheduler import AT_ONCE
from tests.api.test_uploads import LEAVE, Pausing, documents, ended, files, serve
from tests.fakes import FixedWriter
from tests.waiting import until

__all__ = ["documents", "serve"]

pytestmark = pytest.mark.elasticsearch


@pytest.fixture
def others(es, collection):
    """Names of more collections, which are removed in the end."""
    client, _ = es
    names = [f"{collection}-{number}" for number in range(AT_ONCE + 1)]
    yield names
    for name in names:
        for index in client.indices.get(index=f"bothways-{name}-v*").body:
            client.indices.delete(index=index)
    client.indices.refresh(index="bothways-jobs")
    client.delete_by_query(
        index="bothways-jobs", query={"terms": {"collection": names}}, conflicts="proceed", refresh=True
    )


@pytest.fixture
def hanging(tmp_path, monkeypatch):
    """Have Word files hang what reads them, as a hostile one may."""
    folder = tmp_path / "libraries"
    folder.mkdir()
    (folder / "docx.py").write_text("while True: pass", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    end_readers()
    yield
    end_readers()


def of(collection):
    return f"/api/v1/collections/{collection}/documents"


def state(http, answer):
    return http.get(answer.headers["location"]).json()["state"]


def hang(http, path):
    """Upload a file that hangs; gives the answer once it is being read."""
    answer = http.post(path, files=files(a__docx="x"))
    until(lambda: state(http, answer) == "running")
    time.sleep(0.5)
    return answer


class Gate(FixedWriter):
    """Lets texts through that do not hold `at`, and those when it is opened; notes the order of all."""

    def __init__(self, at):
        super().__init__()
        self.at = at
        self.order = []
        self.reached = threading.Event()
        self.go = threading.Event()

    def write(self, chunk):
        self.order.append(chunk.text)
        if self.at in chunk.text:
            self.reached.set()
            assert self.go.wait(30)
        return super().write(chunk)


def test_other_collections_go_on_while_one_is_at_work(serve, documents, others):
    gate = Gate("慢")
    http = serve(writer=gate)
    slow = http.post(documents, files=files(a__txt="慢。"))
    assert gate.reached.wait(20)
    second = http.post(documents, files=files(b__txt="后。"))
    try:
        assert ended(http, http.post(of(others[0]), files=files(a__txt=LEAVE)))["state"] == "done"
        assert (state(http, slow), state(http, second)) == ("running", "queued")
    finally:
        gate.go.set()
    assert [ended(http, answer)["state"] for answer in (slow, second)] == ["done", "done"]
    assert gate.order == ["慢。", LEAVE, "后。"]


def test_no_more_at_once_than_there_are_slots(serve, others):
    gate = Gate("慢")
    http = serve(writer=gate)
    answers = [http.post(of(name), files=files(a__txt="慢。")) for name in others]
    try:
        until(lambda: [state(http, answer) for answer in answers].count("running") == AT_ONCE)
        time.sleep(0.3)
        assert sorted(state(http, answer) for answer in answers) == ["queued", *["running"] * AT_ONCE]
    finally:
        gate.go.set()
    assert {ended(http, answer)["state"] for answer in answers} == {"done"}


def test_a_file_that_hangs_is_cancelled_at_once(serve, documents, hanging):
    http = serve(writer=FixedWriter())
    answer = hang(http, documents)
    started = time.monotonic()
    assert http.delete(answer.headers["location"]).status_code == 202
    until(lambda: state(http, answer) == "cancelled")
    assert time.monotonic() - started < 3  # a second, and what a busy machine adds


def test_a_file_that_hangs_ends_by_itself_and_the_others_are_indexed(serve, documents, hanging):
    http = serve(writer=FixedWriter(), read_timeout_s=1)
    job = ended(http, http.post(documents, files=files(a__docx="x", b__txt=LEAVE)))
    assert (job["state"], job["counts"]["indexed"]) == ("failed", 1)
    [failure] = job["failures"]
    assert (failure["stage"], failure["item"]) == ("read", "a.docx")
    assert "too long until its next document" in failure["reason"]


def test_a_server_ends_in_time_with_several_files_that_hang(serve, documents, others, hanging):
    http = serve(writer=FixedWriter())
    answers = [hang(http, path) for path in (documents, of(others[0]))]
    started = time.monotonic()
    http.app.state.uploads.close()
    assert time.monotonic() - started < 8
    assert [state(http, answer) for answer in answers] == ["queued", "queued"]
    assert len(http.app.state.uploads._spool.waiting()) == 2
    assert [upload.attempts for upload in http.app.state.uploads._spool.waiting()] == [0, 0]


def test_two_servers_share_a_machine(serve, documents, others):
    gate = Gate("慢")
    first, second = serve(writer=gate), serve(writer=FixedWriter())
    slow = first.post(documents, files=files(a__txt="慢。"))
    assert gate.reached.wait(20)
    waits = second.post(documents, files=files(b__txt=LEAVE))
    try:
        assert ended(second, second.post(of(others[0]), files=files(a__txt=LEAVE)))["state"] == "done"
        assert state(second, waits) == "queued"
    finally:
        gate.go.set()
    assert [ended(second, answer)["state"] for answer in (slow, waits)] == ["done", "done"]


def test_what_another_process_runs_is_left_to_it(serve, documents, collection):
    http = serve(writer=FixedWriter())
    uploads = http.app.state.uploads
    locks = uploads._spool.folder / "locks"
    locks.mkdir(parents=True)
    with FileLock(locks / f"bothways-{collection}.lock"):
        answer = http.post(documents, files=files(a__txt=LEAVE))
        assert uploads.run_waiting()
        assert state(http, answer) == "queued"
    assert ended(http, answer)["state"] == "done"


def test_a_full_disk_puts_an_upload_off(serve, documents, monkeypatch):
    http = serve(writer=FixedWriter())
    spool = http.app.state.uploads._spool
    full = threading.Event()
    full.set()
    note, tried = spool.note, []

    def noting(upload, *, attempts):
        tried.append(attempts)
        if full.is_set():
            raise StorageFullError("The disk is full.")
        note(upload, attempts=attempts)

    monkeypatch.setattr(spool, "note", noting)
    answer = http.post(documents, files=files(a__txt=LEAVE))
    until(lambda: len(tried) > 3)
    assert state(http, answer) == "queued"
    full.clear()
    assert ended(http, answer)["state"] == "done"


def test_a_spool_that_cannot_be_read_for_a_while(serve, documents, monkeypatch):
    http = serve(writer=FixedWriter())
    spool = http.app.state.uploads._spool
    waiting, fails = spool.waiting, [OSError(5, "Input/output error"), ValueError("not JSON"), OSError(5, "again")]
    monkeypatch.setattr(spool, "waiting", lambda: waiting() if not fails else (_ for _ in ()).throw(fails.pop()))
    assert ended(http, http.post(documents, files=files(a__txt=LEAVE)))["state"] == "done"


def test_a_cancelled_upload_behind_another_is_put_aside(serve, documents):
    writer = Pausing()
    http = serve(writer=writer)
    runs = http.post(documents, files=files(a__txt=LEAVE))
    assert writer.reached.wait(20)
    waits = http.post(documents, files=files(b__txt="好。"))
    assert http.delete(waits.headers["location"]).json()["state"] == "cancelled"
    writer.go.set()
    assert ended(http, runs)["state"] == "done"
    until(lambda: not http.app.state.uploads._spool.waiting())
    assert ended(http, http.post(f"{waits.headers['location']}/retry"))["state"] == "done"
