"""`bothways jobs`, `documents` and `delete` as typed, and two processes at once on one collection."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from bothways.core.elastic.lease import Leases
from bothways.core.machine.holder import Holder
from bothways.core.settings import settings
from bothways.indexer.jobs.store import Job, new_id
from bothways.indexer.run import open_registry
from bothways.indexer.uploads.spool import Spool

pytestmark = pytest.mark.elasticsearch

INDEX = [sys.executable, "-c", "from bothways.cli.main import main; main()", "index"]


@pytest.fixture
def folder(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "leave.md").write_text("# 年假\n\n工作满一年的员工享有五天带薪年休假。\n", encoding="utf-8")
    (docs / "pay.txt").write_text("工资于每月十日发放，遇节假日提前。", encoding="utf-8")
    return docs


@pytest.fixture
def in_background(es_url, folder, collection):
    """Start `bothways index` as a process of its own."""

    @contextmanager
    def start(*words):
        environment = os.environ | {"BOTHWAYS_ES_URL": es_url}
        command = [*INDEX, str(folder), "--collection", collection, "--no-questions", *words]
        with subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Whoever runs the tests in the background of a shell has SIGINT ignored, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    return start


def test_jobs_and_documents(run, folder, collection):
    (folder / "broken.json").write_text("{", encoding="utf-8")
    code, out, _ = run("index", folder, "-c", collection, "--no-questions", "--workers", 3, "--json")
    assert code == 1
    first = json.loads(out)["job"]
    code, out, _ = run("jobs", "--collection", collection, "--json")
    listed = json.loads(out)
    assert (code, listed["total"], [job["id"] for job in listed["jobs"]]) == (0, 1, [first])
    assert listed["jobs"][0]["options"]["words"] == ["--no-questions", "--workers", "3"]
    code, out, _ = run("jobs", "show", first)
    assert code == 0
    assert "read: broken.json" in out
    assert str(folder) in out
    code, out, err = run("jobs", "show", first, "--watch")
    assert (code, "failed" in out) == (1, True)

    (folder / "broken.json").unlink()
    code, out, _ = run("jobs", "retry", first, "--json")
    assert code == 0
    second = json.loads(out)["job"]
    code, out, _ = run("jobs", "show", second, "--json")
    shown = json.loads(out)
    assert (shown["state"], shown["retry_of"], shown["counts"]["unchanged"]) == ("done", first, 2)
    assert shown["options"]["words"] == ["--no-questions", "--workers", "3"]
    code, _, err = run("jobs", "retry", second)
    assert (code, "nothing to retry" in err) == (1, True)
    code, _, err = run("jobs", "cancel", second)
    assert (code, "nothing to cancel" in err) == (1, True)
    assert run("jobs", "show", second, "--watch")[0] == 0
    code, out, _ = run("jobs", "list", "-c", collection, "--state", "done")
    assert (second in out, first in out) == (True, False)

    code, out, _ = run("documents", collection, "--json")
    rows = json.loads(out)
    assert (code, {row["source"]: row["chunks"] for row in rows}) == (0, {"leave.md": 1, "pay.txt": 1})
    assert rows[0]["doc_id"] < rows[1]["doc_id"]
    code, out, err = run("documents", collection, "--limit", 1)
    assert rows[0]["doc_id"] in out
    assert f"--after {rows[0]['doc_id']}" in err
    code, out, _ = run("documents", collection, "--limit", 1, "--after", rows[0]["doc_id"], "--json")
    assert json.loads(out) == rows[1:]
    assert run("delete", collection, "--document", rows[0]["doc_id"])[0] == 0
    assert json.loads(run("documents", collection, "--json")[1]) == rows[1:]
    code, _, err = run("delete", collection, "--document", rows[0]["doc_id"])
    assert (code, "has no document" in err) == (1, True)


def test_bad_usage(run):
    code, _, err = run("jobs", "show", "nothing")
    assert (code, "no job 'nothing'" in err) == (1, True)
    code, _, err = run("jobs", "--state", "sleeping")
    assert (code, "'sleeping' is not one of 'queued', 'running'" in err) == (2, True)
    code, _, err = run("documents", "nobody-has-this")
    assert (code, "no collection" in err) == (1, True)


def test_an_upload_is_retried_here(run, es, collection, monkeypatch, tmp_path):
    spool = Spool(settings().cache_dir / "uploads")
    registry = open_registry(es[0])
    job = registry.store.create(
        Job(id=new_id(), collection=collection, kind="upload", files=["[b]a.txt"], options={"origin": "upload"})
    )
    with spool.receive(job.id, collection) as incoming:
        incoming.add("[b]a.txt", io.BytesIO("工资每月十日发放。".encode()))
    (upload,) = [one for one in spool.waiting() if one.id == job.id]
    spool.keep(upload)
    registry.store.end(job.id, "failed")
    code, out, err = run("jobs", "retry", job.id, "--json")
    assert code == 0, err
    assert (json.loads(out)["state"], json.loads(out)["retry_of"]) == ("done", job.id)
    listing = run("jobs", "-c", collection)[1]
    assert "upload of [b]a.txt" in listing
    assert job.id in listing


def test_two_processes_at_once(in_background, es, collection):
    """One is refused, naming who is at it; one waits, and does its work when the lease is free."""
    lease = Leases(es[0], ttl_s=300).acquire(f"collection {collection}", note="the job before")
    with in_background() as refused:
        _, err = refused.communicate(timeout=120)
        assert refused.returncode == 1
        assert f"is held by {Holder.here().who} since" in err
        assert "bothways jobs show the job before" in err
        assert "Traceback" not in err
    with in_background("--wait", "--json") as waits:
        while "Waiting" not in (line := waits.stderr.readline()):
            assert line
        lease.release()
        out, _ = waits.communicate(timeout=120)
    assert (waits.returncode, json.loads(out)["indexed"]) == (0, 2)


def test_nothing_is_deleted_while_a_job_writes(run, folder, es, collection):
    assert run("index", folder, "-c", collection, "--no-questions")[0] == 0
    (row, _) = json.loads(run("documents", collection, "--json")[1])
    verbs = (
        ("delete", collection, "--document", row["doc_id"]),
        ("collections", "rollback", collection),
        ("delete", collection, "--yes"),
    )
    with Leases(es[0]).hold(f"collection {collection}", note="job-1"):
        for words in verbs:
            code, out, err = run(*words)
            assert (code, out) == (1, ""), words
            assert f"is held by {Holder.here().who} since" in err
            assert "`bothways jobs show job-1 --watch`" in err
    assert len(json.loads(run("documents", collection, "--json")[1])) == 2
    assert [run(*words)[0] for words in verbs] == [0, 2, 0]
    assert run("documents", collection)[0] == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_leave_a_cancelled_job(in_background, es, collection, how):
    registry = open_registry(es[0])
    with Leases(es[0]).hold(f"collection {collection}"), in_background("--wait") as process:
        while "Waiting" not in (line := process.stderr.readline()):
            assert line
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Interrupted" in err
    (job,), _ = registry.store.find(collection=collection)
    assert (job.state, job.error) == ("cancelled", "It was interrupted while it waited.")
