"""The panels over real rows: what each would show after some searches, clicks and jobs, counted by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from bothways.api.app import create_app
from bothways.core.settings import load_settings
from bothways.indexer.jobs.store import Job, JobStore, new_id
from bothways.kibana import panels
from bothways.kibana.panels import ROWS
from bothways.search.pipeline import Searcher
from tests.fakes import FixedWriter, HashEncoder
from tests.kibana.lens_rows import rows

pytestmark = pytest.mark.elasticsearch

ARTICLES = [
    {"_id": "leave", "title": "请假", "text": "员工请假应当提前三天提交申请。", "metadata": {"groups": ["hr"]}},
    {"_id": "refund", "title": "退货", "text": "签收后七天内可以无理由退货。", "metadata": {"groups": ["shop"]}},
    {"_id": "travel", "title": "差旅", "text": "差旅费用凭发票报销。", "metadata": {"groups": ["hr"]}},
]


@pytest.fixture
def show(es, segmenter, collection, build, tmp_path):
    """Give the rows of a panel.

    Three chunks, of which one has no questions; 请假提前几天 asked twice and opened once, at rank 1; 退货 asked once,
    its second hit voted down; 报销 asked where nothing can be found; a job done, one failed, one with two failed items.
    """
    client, server = es
    (tmp_path / "docs").mkdir()
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ARTICLES)
    (tmp_path / "docs" / "c.jsonl").write_text(lines, "utf-8")
    build(tmp_path / "docs", writer=FixedWriter(refuse=["差旅"]))
    searcher = Searcher(client, segmenter, HashEncoder, embedding_model="fake/hash", timeout_ms=10_000)
    chosen = load_settings(feedback=True, cache_dir=tmp_path / "cache")
    with TestClient(create_app(chosen, lambda _: (searcher, server))) as http:
        _use(http, collection)
    store = JobStore(client)
    jobs = [
        Job(id=new_id(), collection=collection, state="done"),
        Job(id=new_id(), collection=collection, state="failed", error="No such folder."),
    ]
    jobs.append(replace(jobs[0], id=new_id(), state="failed", counts={"failures": 2}, error="Items that failed: 2."))
    for job in jobs:
        store.create(job)
    client.indices.refresh(index=f"bothways-feedback-*.*,bothways-jobs,bothways-{collection}-v1")
    own = {
        "chunks.json": {"term": {"_index": f"bothways-{collection}-v1"}},
        "feedback.json": {"term": {"application": collection}},
        "jobs.json": {"term": {"collection": collection}},
    }
    return lambda lens: rows(client, lens.view.pattern, lens.attributes(), only=own[lens.view.mapping])


def _use(http, collection):
    def ask(query, strategy="hybrid", **more):
        body = {"query": query, "collection": collection, "strategy": strategy, "self_query": False, **more}
        answer = http.post("/api/v1/search", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def act(answer, rank, action):
        body = {"query_id": answer["query_id"], "chunk_id": answer["hits"][rank - 1]["chunk_id"], "action": action}
        assert http.post("/api/v1/feedback", json=body).status_code == 202

    act(ask("请假提前几天"), 1, "click")
    ask("请假提前几天")
    act(ask("退货", strategy="hybrid_rerank"), 2, "down")
    assert ask("报销", filters={"groups": "nobody"})["hits"] == []
    assert ask("请假提前几天", offset=1, top_k=1)["hits"], "a further page, which is no search of its own"


def test_no_panel_is_empty(show):
    for _, row in ROWS:
        for lens in row:
            found = show(lens)
            assert found, lens.title
            metrics = {name for one in found for name, value in one.items() if isinstance(value, int | float) and value}
            assert metrics, (lens.title, found)


def test_what_the_panels_say(show):
    assert show(panels.searches) == [{"searches": 4}]
    (empty,) = show(panels.empty_share)
    assert empty["share"] == pytest.approx(1 / 4)
    (clicked,) = show(panels.clicked_share)
    assert clicked["share"] == pytest.approx(1 / 3)
    assert show(panels.chunks_without) == [{"without": 1}]
    assert show(panels.failed_jobs) == [{"failed": 2}]
    questions = {
        row["question"]: (row["all"], row["clicked"], row["without"]) for row in show(panels.unclicked_questions)
    }
    assert questions == {"请假提前几天": (2, 1, 1), "退货": (1, 0, 1), "报销": (0, 0, 0)}
    assert show(panels.empty_questions) == [{"question": "报销", "searches": 1}]
    by_rank = {(row["rank"], row["action"]): row["events"] for row in show(panels.feedback_by_rank)}
    assert by_rank == {(1, "click"): 1, (2, "down"): 1}
    assert sum(row["searches"] for row in show(panels.degraded) if row["stage"] == "rerank") == 1
    counted = {row["questions"]: row["chunks"] for row in show(panels.questions_a_chunk)}
    assert counted == {0: 1, 2: 2}
    (version,) = show(panels.collections)
    assert (version["chunks"], version["without"]) == (3, 1)
    assert version["average"] == pytest.approx(4 / 3)
    assert version["share"] == pytest.approx(1 / 3)
    (errors,) = show(panels.job_errors)
    assert (errors["jobs"], errors["failed"], errors["items"]) == (3, 2, 2)
    states = [(row["state"], row["jobs"]) for row in show(panels.jobs_over_time)]
    assert sorted(states) == [("done", 1), ("failed", 2)]


def test_latency_is_split_by_stage(show, es, collection):
    hours = show(panels.latency_by_stage)
    assert all(set(panels.STAGES) < row.keys() for row in hours)
    assert any(row["encode"] > 0 and row["retrieve"] > 0 for row in hours)
    for row in show(panels.latency_over_time):
        assert 0 < row["p50"] <= row["p95"] <= row["p99"]
    (whole,) = show(panels.latency)
    found = es[0].search(
        index="bothways-feedback-*.*", query={"bool": {"filter": [{"term": {"application": collection}}]}}, size=100
    )
    totals = [
        hit["_source"].get("query_attributes", {}).get("timings_ms", {}).get("total", 0)
        for hit in found["hits"]["hits"]
    ]
    assert 0 < whole["p95"] <= max(totals) * 1.001  # Elasticsearch keeps it as a float
