"""`bothways eval calibrate` as a user types it, with a reranker over HTTP."""

from __future__ import annotations

import json

import pytest

from bothways.core.settings import load_settings
from tests.rerank_server import RerankServer

pytestmark = pytest.mark.elasticsearch

TEXTS = ["年假五天", "病假要证明", "工资十日发", "加班有补贴", "出差订机票", "报销交发票", "入职带证件", "离职办交接",
         "会议室预订", "打印机在三楼", "食堂十二点开", "班车七点半"]  # fmt: skip


@pytest.fixture
def server():
    running = RerankServer()
    yield running
    running.close()


@pytest.fixture
def queries(tmp_path, run, collection):
    rows = [{"_id": f"d{n}", "title": "", "text": text} for n, text in enumerate(TEXTS)]
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    code, _, err = run("index", tmp_path / "docs", "--collection", collection, "--no-questions")
    assert code == 0, err
    asked = [{"_id": f"q{n}", "query": f"{text[:3]}吗", "gold": {"doc_id": f"d{n}"}} for n, text in enumerate(TEXTS)]
    path = tmp_path / "queries.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in asked), "utf-8")
    return path


def test_a_threshold_is_found_written_and_in_force(queries, run, collection, server, tmp_path):
    written = tmp_path / "calibrated.env"
    environment = {"BOTHWAYS_RERANKER_URL": f"{server.url}/v1/rerank", "BOTHWAYS_RERANKER_MODEL": "m"}
    words = ("eval", "calibrate", queries, "--collection", collection, "--precision", "0.9", "--write", written)
    code, told, err = run(*words, **environment)
    assert (code, err) == (0, "")
    # Each question has three of its four characters from its own text, so each first hit is right and scores .75.
    assert "the first hit of 12 is relevant" in told
    assert "| 0.749999 | 1.000 | 1.000 | 1.000 |" in told or "| 0.75 | 1.000 | 1.000 | 1.000 |" in told
    lines = written.read_text(encoding="utf-8").splitlines()
    name, _, value = lines[-1].partition("=")
    assert name == "BOTHWAYS_RERANK_MIN_SCORE"
    assert float(value) == pytest.approx(0.75, abs=2e-6)
    for question, count in (("年假五吗", 1), ("全都无关", 0)):
        code, told, _ = run(
            "search", question, "--collection", collection, "--json", "--explain", **environment, **{name: value}
        )
        assert (code, len(json.loads(told)["hits"])) == (0, count)
    code, told, _ = run(*words, "--json", **environment)
    assert json.loads(told)["proposed"]["precision"] == 1.0


def test_other_scores_have_no_setting(queries, run, collection, tmp_path):
    written = tmp_path / "calibrated.env"
    words = ("eval", "calibrate", queries, "--collection", collection, "--strategy", "bm25", "--write", written)
    code, told, _ = run(*words, "--precision", "0.5")
    assert code == 0
    assert "Give it as min_score with each request" in told
    assert not written.exists()
    code, _, err = run("eval", "calibrate", queries, "--collection", collection, "--write", written)
    assert code == 2
    assert "ran without rerank" in err


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"BOTHWAYS_RERANKER_URL": "http://h/v2/rerank"}, "wants a model's name"),
        ({"BOTHWAYS_RERANKER_PRECISION": "int8", "BOTHWAYS_MODEL_BACKEND": "torch"}, "MODEL_BACKEND=onnx"),
    ],
)
def test_settings_that_cannot_be_are_told_before_any_search(environment, message, run, collection):
    code, _, err = run("search", "问", "--collection", collection, **environment)
    assert code == 2
    assert message in err


def test_somebody_elses_file_is_left_alone(run, tmp_path):
    (tmp_path / ".env").write_text("BOTHWAYS_LLM_MODEL=mine\n", "utf-8")
    code, _, err = run("eval", "calibrate", "/no/such/file", "--collection", "c", "--write", tmp_path / ".env")
    assert code == 2
    assert "was not written by `bothways eval calibrate`" in err
    assert load_settings().llm_model is None
