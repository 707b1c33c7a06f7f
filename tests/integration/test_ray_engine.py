"""A job on Ray: a cluster of this machine's own, with the real model. A real Elasticsearch."""

from __future__ import annotations

import json

import pytest

from bothways.core.elastic.lease import Leases
from bothways.core.errors import MissingExtraError
from bothways.indexer.build import build_parts, build_writer, default_job_options
from bothways.indexer.jobs.store import Job, new_id
from bothways.indexer.run import open_registry, recorded_options, run_job
from bothways.indexer.workers import ray_engine
from bothways.indexer.workers.ray_engine import RayLeader
from bothways.indexer.workers.shards import Shards
from bothways.indexer.workers.workers import Leader

pytestmark = pytest.mark.elasticsearch


@pytest.mark.filterwarnings("default")  # Ray's own
def test_a_job_on_ray(es, es_settings, collection, tmp_path, monkeypatch, stored):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    (tmp_path / "docs").mkdir()
    rows = [{"_id": f"r{i}", "title": f"题{i}", "text": f"第{i}条：员工的年假为{i}天。"} for i in range(9)]
    (tmp_path / "docs" / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    recorded = [{"text": row["text"], "questions": [f"能休{row['_id']}天吗"]} for row in rows]
    questions = tmp_path / "q.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in recorded), encoding="utf-8")

    options = default_job_options(es_settings, collection)
    job = Job(
        id=new_id(),
        collection=collection,
        source=str(tmp_path),
        options=recorded_options(options, workers=2, engine="ray"),
    )
    registry = open_registry(es[0])
    parts = build_parts(es_settings, writer=build_writer(es_settings, questions))
    shards = Shards(es[0], Leases(es[0]))
    leader = RayLeader(
        Leader(shards=shards, job=job.id, collection=collection, questions=str(questions), size=4),
        es_settings,
        workers=2,
    )
    report = run_job(tmp_path / "docs", options, parts, job, registry, write_chunks=leader.write)
    assert (report.chunks, report.indexed, report.questions, report.encoded) == (9, 9, 9, 18)
    assert report.succeeded
    assert {chunk["questions"][0]["text"] for chunk in stored().values()} == {f"能休r{i}天吗" for i in range(9)}

    again = Job(id=new_id(), collection=collection, source=str(tmp_path), options=job.options)
    report = run_job(tmp_path / "docs", options, parts, again, registry, write_chunks=leader.write)
    assert (report.unchanged, report.indexed) == (9, 0)


def test_without_ray_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(ray_engine, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"bothways\[ray\]"):
        ray_engine.require_ray()
