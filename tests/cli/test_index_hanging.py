"""`bothways index` over a file that hangs what reads it: ended by Ctrl-C, by `jobs cancel` and by `kill -9`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from bothways.indexer.run import open_registry
from tests.cli.verbs.test_jobs import INDEX
from tests.waiting import until

pytestmark = pytest.mark.elasticsearch


@pytest.fixture
def folder(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.txt").write_text("工资于每月十日发放。", encoding="utf-8")
    (docs / "m.docx").write_bytes(b"x")
    (docs / "z.txt").write_text("员工请假应当提前三天提交申请。", encoding="utf-8")
    return docs


@pytest.fixture
def index(es_url, es, folder, collection, tmp_path):
    """Start the command as a process of its own, with a library of Word files that is as hostile as `code` says."""
    started = []

    def start(code, **environment):
        libraries = tmp_path / "libraries"
        libraries.mkdir()
        (libraries / "docx.py").write_text(code, encoding="utf-8")
        path = os.pathsep.join([str(libraries), *filter(None, sys.path)])
        process = subprocess.Popen(
            [*INDEX, str(folder), "--collection", collection, "--no-questions", "--json"],
            env=os.environ | {"BOTHWAYS_ES_URL": es_url, "PYTHONPATH": path} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
            # Whoever runs the tests in the background of a shell has SIGINT ignored, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def hanging(index, es, collection):
    """The command while the file hangs: the process, the one that reads for it, and the job's record."""
    process = index("while True: pass")
    registry = open_registry(es[0])
    (job,) = until(lambda: registry.store.find(collection=collection, state="running")[0])
    (reader,) = until(lambda: [one for one in psutil.Process(process.pid).children() if cpu_of(one) > 1])
    return process, reader, job


def cpu_of(process):
    return process.cpu_times().user


def gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_like_any_job(hanging, es, how):
    process, reader, job = hanging
    os.killpg(process.pid, how)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "Interrupted" in err
    assert "Traceback" not in err
    assert gone(reader)
    assert open_registry(es[0]).store.get(job.id).state == "cancelled"


def test_it_is_cancelled_from_elsewhere(hanging, es):
    process, reader, job = hanging
    store = open_registry(es[0]).store
    store.cancel(job.id)
    started = time.monotonic()
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - started < 5  # a second, and what a busy machine adds
    assert (process.returncode, "was cancelled" in err, gone(reader)) == (1, True, True)
    assert store.get(job.id).state == "cancelled"


def test_a_killed_job_leaves_nobody_behind(hanging):
    process, reader, _ = hanging
    process.kill()
    until(lambda: gone(reader), 10)


def test_the_file_is_named_and_the_others_are_indexed(index):
    out, err = index("import os; os.abort()").communicate(timeout=120)
    report = json.loads(out)
    assert (report["indexed"], [one["item"] for one in report["failures"]]) == (2, ["m.docx"])
    assert "SIGABRT" in report["failures"][0]["reason"]
    assert "Traceback" not in err
