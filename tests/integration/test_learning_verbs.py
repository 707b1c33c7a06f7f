"""`bothways learn run`, `questions` and `rollback` as they are typed: exit codes, what is said, what is left behind."""

from __future__ import annotations

import json

import pytest

from bothways.core.collections.collection import RERANKER, open_collection
from bothways.indexer.versions.rollback import rollback
from bothways.indexer.versions.versions import note
from bothways.learning.feedback.store import FeedbackStore
from bothways.learning.weekly.history import INDEX, History, Record
from bothways.learning.weekly.promotion import promote_reranker, roll_back
from tests.integration.learning_from_users import TEXTS, searches, write_corpus
from tests.integration.test_learning_rounds import ASKED

pytestmark = pytest.mark.elasticsearch

MODEL = {"BOTHWAYS_EMBEDDING_MODEL": "fake/hash"}


@pytest.fixture
def live(es, build, collection, tmp_path):
    build(write_corpus(tmp_path)[0])
    yield collection
    es[0].options(ignore_status=404).delete_by_query(
        index=INDEX, query={"term": {"collection": collection}}, conflicts="proceed", refresh=True
    )


@pytest.fixture
def frozen(tmp_path):
    path = tmp_path / "frozen.jsonl"
    rows = [{"query": text[2:9], "gold": {"doc_id": name}} for name, text in TEXTS.items()]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return path


def clicked(es, collection):
    assert FeedbackStore(es[0]).write(searches(collection, ASKED, "leave")) == []
    es[0].indices.refresh(index="bothways-feedback-*.*")


def test_no_feedback_is_a_plain_outcome(run, live, frozen, tmp_path):
    out = tmp_path / "learnt"
    code, said, error = run("learn", "run", "-c", live, "--out", out, "--regression", frozen, **MODEL)
    assert code == 0, error
    assert "questions: nothing – nothing to learn from: 0 searches" in said
    assert "reranker: nothing – nothing to learn from" in said
    assert (out / "report.md").is_file()
    [line] = (out / "history.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["steps"]["questions"]["state"] == "nothing"


def test_it_wants_a_regression_set_or_to_be_told_that_there_is_none(run, live, frozen, tmp_path):
    words = ("learn", "run", "-c", live, "--out", tmp_path / "learnt")
    code, _, error = run(*words, **MODEL)
    assert code == 2
    assert "--regression FILE" in error
    assert "--no-regression" in error
    code, _, error = run(*words, "--regression", frozen, "--no-regression", **MODEL)
    assert code == 2
    code, _, _ = run(*words, "--no-regression", **MODEL)
    assert code == 0
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--set", "measure=luck"), "There is no measure 'luck'"),
        (("--set", "margin=2"), "margin=2: Input should be less than or equal to 1"),
        (("--set", "luck=1"), "wants NAME=VALUE with one of measure, margin"),
        (("--strategy", "luck"), "There is no strategy 'luck'"),
    ],
)
def test_bad_usage(run, live, tmp_path, words, told):
    code, _, error = run("learn", "run", "-c", live, "--out", tmp_path / "x", "--no-regression", *words, **MODEL)
    assert code == 2
    assert told in error


def test_an_unknown_collection(run, tmp_path):
    code, _, error = run("learn", "run", "-c", "test-none", "--out", tmp_path / "x", "--no-regression")
    assert code == 1
    assert "There is no collection 'test-none'" in error
    code, _, error = run("learn", "rollback", "-c", "test-none")
    assert code == 1
    assert "There is no collection 'test-none'" in error


def test_questions_alone_want_a_model(run, live, tmp_path):
    code, _, error = run("learn", "questions", "-c", live, "--out", tmp_path / "x", "--no-regression", **MODEL)
    assert code == 2
    assert "BOTHWAYS_LLM_BASE_URL" in error


def test_a_dead_model_fails_the_run_and_nothing_else(run, es, live, frozen, tmp_path):
    clicked(es, live)
    dead = {
        "BOTHWAYS_LLM_BASE_URL": "http://127.0.0.1:9/v1",
        "BOTHWAYS_LLM_MODEL": "m",
        "BOTHWAYS_FIXED": '{"llm_max_retries": 0}',
        "BOTHWAYS_CACHE_DIR": str(tmp_path / "cache"),
    }
    out = tmp_path / "learnt"
    words = ("learn", "questions", "-c", live, "--out", out, "--regression", frozen, "--set", "max_share=0.5")
    code, _, error = run(*words, **MODEL, **dead)
    assert code == 1
    assert "questions failed: The language model gives no questions" in error
    assert "Nothing was changed" in error
    assert open_collection(es[0], live).index == f"bothways-{live}-v1"
    assert json.loads((out / "report.json").read_text("utf-8"))["steps"][0]["state"] == "failed"


def test_a_dry_run_says_what_it_would_do(run, es, live, tmp_path):
    clicked(es, live)
    llm = {"BOTHWAYS_LLM_BASE_URL": "http://127.0.0.1:9/v1", "BOTHWAYS_LLM_MODEL": "m"}
    words = ("learn", "run", "-c", live, "--out", tmp_path / "x", "--dry-run", "--set", "max_share=0.5", "--json")
    code, said, error = run(*words, **MODEL, **llm)
    assert code == 0, error
    steps = {step["step"]: step for step in json.loads(said)["steps"]}
    assert steps["questions"]["state"] == "planned"
    assert steps["questions"]["changes"][0]["chunk_id"] == "leave-0"
    assert not (tmp_path / "x").exists()


def test_the_gate_gets_each_number_by_its_name(run, live, frozen, tmp_path):
    """All numbers differ from each other and from the defaults: one in another's place would show in the report."""
    words = ("learn", "run", "-c", live, "--out", tmp_path / "learnt", "--regression", frozen, "--json")
    values = ("measure=mrr@10", "margin=0.03", "min_held_out=21", "min_regression=32", "max_share=0.07")
    given = [word for value in values for word in ("--set", value)]
    code, said, error = run(*words, *given, **MODEL)
    assert code == 0, error
    gate = json.loads(said)["gate"]
    assert gate["measure"] == "mrr@10"
    assert (gate["margin"], gate["margin_held_out"]) == (0.03, 0.05)
    assert (gate["min_held_out"], gate["min_regression"], gate["max_share"]) == (21, 32, 0.07)


def test_rollback_without_a_promotion(run, live):
    code, _, error = run("learn", "rollback", "-c", live)
    assert code == 2
    assert "nothing to take back" in error


def a_record(live, run_id="r1"):
    return Record(
        run_id=run_id,
        collection=live,
        started_at="2027-01-15T08:00:00.000+00:00",
        state="promoting",
        from_index="",
        to_index="",
    )


def test_a_promoted_reranker_is_named_by_the_live_version_and_taken_back(run, es, live, tmp_path):
    client = es[0]
    index = open_collection(client, live).index
    promote_reranker(client, live, "/models/first", measured_on=index, record=a_record(live))
    promote_reranker(client, live, "/models/second", measured_on=index, record=a_record(live, "r2"))
    assert open_collection(client, live).reranker == "/models/second"
    code, said, _ = run("learn", "rollback", "-c", live, "--json")
    assert code == 0
    assert json.loads(said)["reranker"] == "/models/first"
    roll_back(client, live)
    assert open_collection(client, live).reranker == ""
    assert [record.state for record in History(client).of(live)] == ["rolled back", "rolled back"]


def test_a_rebuild_keeps_the_reranker_and_the_version_before_keeps_its_own(es, build, live, tmp_path):
    client = es[0]
    note(client, open_collection(client, live).index, **{RERANKER: "/models/first"})
    assert build(tmp_path / "docs", recreate=True).held == ""
    assert open_collection(client, live).reranker == "/models/first"
    note(client, open_collection(client, live).index, **{RERANKER: "/models/second"})
    rollback(client, live)
    assert open_collection(client, live).reranker == "/models/first"


def test_a_promotion_that_was_cut_off_before_the_swap_has_not_happened(run, es, live):
    cut = Record(
        run_id="r9",
        collection=live,
        started_at="2027-01-15T08:00:00.000+00:00",
        state="promoting",
        from_index=f"bothways-{live}-v1",
        to_index=f"bothways-{live}-v2",
    )
    History(es[0]).write(cut)
    code, _, error = run("learn", "rollback", "-c", live)
    assert code == 2
    assert "nothing to take back" in error
