"""Jobs of the command line while Elasticsearch is away: they wait, say so, and end with everything, each once."""

from __future__ import annotations

import json
import threading
import time

import pytest

from bothways.core.errors import ElasticsearchError, ElasticsearchUnavailableError, IndexFullError, JobCancelledError
from bothways.core.settings import load_settings
from bothways.indexer.jobs.outage import Patience
from bothways.indexer.jobs.record import Stop
from bothways.indexer.jobs.store import Job, JobStore, new_id
from bothways.indexer.parts import JobOptions
from bothways.indexer.run import open_registry, recorded_options, run_job
from bothways.node.connect import connect
from tests.es_proxy import Proxy
from tests.fakes import FixedWriter, HashEncoder, make_parts
from tests.full_disk import full_disk

pytestmark = pytest.mark.elasticsearch


@pytest.fixture
def proxy(es_url):
    proxy = Proxy(es_url.rstrip("/"))
    yield proxy
    proxy.close()


@pytest.fixture
def folder(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    rows = [{"_id": f"r{i}", "title": f"题{i}", "text": f"第{i}条记录的内容。"} for i in range(300)]
    (docs / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return docs


@pytest.fixture
def job(es, proxy, segmenter, collection, folder, monkeypatch):
    """Run a job through the proxy: `job(...)` gives its report, `job.said` what was told, `job.record()` its record."""
    client, server = connect(load_settings(es_url=proxy.url, es_timeout_s=10))
    monkeypatch.setattr("bothways.indexer.jobs.outage._FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr("bothways.indexer.bulk.FIRST_WAIT_S", 0.01)
    encoder = HashEncoder()

    def run(*, writer=None, wait_s=60, progress=lambda _: None, stop=None, on_wait=None, **options):
        chosen = JobOptions(collection=collection, concurrency=1, **options)
        parts = make_parts((client, server), segmenter, encoder=lambda: encoder, writer=writer)
        made = Job(id=new_id(), collection=collection, source=str(folder), options=recorded_options(chosen))
        run.ids.append(made.id)

        def tell(said):
            run.said.append(said)
            (on_wait or (lambda: None))()

        patience = Patience(wait_s, tell)
        return run_job(
            folder, chosen, parts, made, open_registry(client), patience=patience, progress=progress, stop=stop
        )

    run.ids, run.said = [], []
    run.record = lambda: JobStore(es[0]).get(run.ids[-1])
    yield run
    client.close()


def heals(proxy, after_s=0.5):
    """Let the trouble pass after a moment, from a thread of its own."""
    threading.Timer(after_s, lambda: setattr(proxy, "trouble", "")).start()


def after(number, act):
    """Give a progress callback that acts once, when so many chunks are indexed."""
    done = []

    def progress(report):
        if report.indexed >= number and not done:
            done.append(True)
            act()

    return progress


@pytest.mark.parametrize("trouble", ["reset", "503", "502 html"])
def test_an_outage_in_the_middle_is_waited_for(proxy, job, trouble, stored, es, collection):
    def breaks():
        proxy.trouble = trouble

    report = job(progress=after(100, breaks), on_wait=lambda: heals(proxy))
    assert report.succeeded
    assert report.outages >= 1
    assert report.indexed + report.unchanged == 300
    es[0].indices.refresh(index=f"bothways-{collection}")
    assert set(stored()) == {f"r{i}-0" for i in range(300)}
    assert "for up to 60 s" in job.said[0]
    record = job.record()
    assert (record.state, record.counts["outages"]) == ("done", report.outages)


def test_an_overloaded_server_is_waited_for_where_the_job_is(proxy, job, stored, es, collection):
    def breaks():
        proxy.trouble = "429"
        heals(proxy, 1.0)

    report = job(progress=after(100, breaks))
    assert (report.succeeded, report.indexed + report.unchanged) == (True, 300)
    assert proxy.met > 0
    assert set(stored()) == {f"r{i}-0" for i in range(300)}


def test_an_overload_that_does_not_pass_is_waited_for_as_an_outage(proxy, job, monkeypatch):
    monkeypatch.setattr("bothways.indexer.bulk.RETRIES_OF_ALL", 2)
    proxy.meets = lambda _method, asked: "_bulk" in asked
    proxy.trouble = "429"
    report = job(on_wait=lambda: heals(proxy))
    assert (report.succeeded, report.outages > 0) == (True, True)
    assert "overloaded" in job.said[0]


def test_an_outage_at_the_very_start_is_waited_for(proxy, job):
    proxy.trouble = "reset"
    report = job(on_wait=lambda: heals(proxy))
    assert (report.succeeded, report.indexed) == (True, 300)
    assert job.record().state == "done"


@pytest.mark.parametrize("path", ["_refresh", "_aliases", "_msearch"])
def test_an_outage_while_the_job_finishes_is_waited_for(proxy, job, path, stored, es, collection):
    assert job().succeeded
    proxy.meets = lambda _method, asked: path in asked
    proxy.trouble = "503"
    report = job(recreate=True, on_wait=lambda: heals(proxy))
    assert report.succeeded
    assert proxy.met > 0
    assert len(stored()) == 300
    assert sorted(es[0].indices.get(index=f"bothways-{collection}-v*")) == [
        f"bothways-{collection}-v1",
        f"bothways-{collection}-v2",
    ]


def test_a_rebuild_whose_swap_was_done_before_the_outage_is_not_built_again(proxy, job, es, collection):
    assert job().succeeded
    proxy.meets = lambda _method, asked: "_aliases" in asked
    proxy.trouble = "cut off"  # the server does it, and its answer does not arrive
    report = job(recreate=True, on_wait=lambda: heals(proxy))
    assert report.succeeded
    assert report.index == f"bothways-{collection}-v2"
    assert f"bothways-{collection}-v3" not in es[0].indices.get(index=f"bothways-{collection}-v*")


def test_what_an_outage_cost_is_counted(proxy, job):
    def breaks():
        proxy.trouble = "reset"

    writer = FixedWriter()
    report = job(writer=writer, progress=after(100, breaks), on_wait=lambda: heals(proxy))
    assert report.indexed == 300
    assert report.llm_calls == writer.calls


def test_an_outage_that_does_not_end_ends_the_job_with_what_to_do(proxy, job):
    proxy.trouble = "reset"
    started = time.monotonic()
    with pytest.raises(ElasticsearchUnavailableError, match=r"come back within 1 s.*run the same command again"):
        job(wait_s=1)
    assert time.monotonic() - started < 20
    assert len(job.said) == 1


def test_without_patience_it_ends_at_once(proxy, job):
    proxy.trouble = "reset"
    with pytest.raises(ElasticsearchUnavailableError, match="cannot be reached"):
        job(wait_s=0)
    assert job.said == []


def test_a_job_that_waits_can_be_stopped(proxy, job):
    proxy.trouble = "reset"
    stop = Stop()
    started = time.monotonic()
    with pytest.raises(JobCancelledError):
        job(wait_s=600, stop=stop, on_wait=stop.cancelled.set)
    assert time.monotonic() - started < 20


def test_a_full_disk_is_said_at_once(proxy, job, es, collection):
    assert job().succeeded
    index = f"bothways-{collection}-v1"
    with full_disk(es[0], index):
        started = time.monotonic()
        with pytest.raises(IndexFullError, match=r"disk is full\. Make room"):
            job(writer=FixedWriter())
        assert time.monotonic() - started < 10
        assert job.said == []
        assert "disk is full" in job.record().error
    assert job(writer=FixedWriter()).succeeded


def test_an_index_that_somebody_set_read_only_is_said_at_once(job, es, collection):
    assert job().succeeded
    index = f"bothways-{collection}-v1"
    es[0].indices.put_settings(index=index, settings={"index.blocks.write": True})
    try:
        with pytest.raises(ElasticsearchError, match="Remove the block"):
            job(writer=FixedWriter())
    finally:
        es[0].indices.put_settings(index=index, settings={"index.blocks.write": None})


def test_a_record_that_could_not_be_made_is_made_when_elasticsearch_is_back(proxy, job, es, segmenter):
    proxy.meets = lambda _method, asked: "bothways-jobs" in asked
    proxy.trouble = "503"
    made = []

    def progress(_):
        if not made:
            made.append(True)
            proxy.trouble = ""

    assert job(progress=progress).succeeded
    assert job.record().state == "done"
