"""From users of known taste, over the record in Elasticsearch, to judgments that `bothways eval` reads."""

from __future__ import annotations

import json
import time
import uuid

import numpy as np
import pytest

from benchmarks.learning.simulated_readers import NAVIGATIONAL
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from bothways.learning.feedback.rows import Row, at, event_row
from bothways.learning.feedback.store import FeedbackStore
from bothways.learning.feedback.wording import Wording
from bothways.learning.judgments.build import judgments_from
from bothways.learning.judgments.judge import JudgmentThresholds
from tests.fakes import make_parts

pytestmark = pytest.mark.elasticsearch

TEXTS = {
    "leave": "员工请假应当提前三天提交申请。",
    "sick": "员工病假应当提交医院证明。",
    "pay": "员工工资于每月十日发放。",
    "refund": "签收后七天内可以无理由退货。",
}
QUESTIONS = {"员工请假提前几天？": "leave", "员工生病了要交什么": "sick", "什么时候发钱给员工": "pay"}
START = time.time() - 11 * 3600


@pytest.fixture
def filled(es, segmenter, collection, tmp_path):
    rows = [{"_id": doc_id, "text": text} for doc_id, text in TEXTS.items()]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    parts = make_parts(es, segmenter)
    assert index_path(tmp_path / "c.jsonl", JobOptions(collection=collection), parts).succeeded
    return collection


def used(store, collection, wording, *, searches=40):
    """Let users search and click over ten hours: rows as the API writes them, in rankings that differ."""
    chance = np.random.default_rng(11)
    rows = []
    for question, answer in QUESTIONS.items():
        for number in range(searches):
            now = START + number * 900
            shown = [f"{doc_id}-0" for doc_id in chance.permutation(list(TEXTS))]
            query_id = uuid.uuid4().hex
            hits = [
                {"chunk_id": c, "doc_id": c[:-2], "rank": n, "score": 1.0, "legs": {}} for n, c in enumerate(shown, 1)
            ]
            asked = wording.of(question)
            source = {"kind": "query", "application": collection, "query_id": query_id, "timestamp": at(now),
                      "query_attributes": {"text": wording.kept}, "hits": hits}  # fmt: skip
            rows.append(Row(query_id, source | ({} if asked is None else {"user_query": asked})))
            for n, (chunk, action) in enumerate(NAVIGATIONAL.react(shown, {f"{answer}-0": 1}, chance)):
                # Some events come to a server that has forgotten the search, and name no collection.
                known = (collection, 1) if n % 2 else None
                rows.append(event_row(query_id, chunk, action, shown=known, now=now + 5))
    assert store.write(rows) == []
    return rows


@pytest.fixture
def store(es):
    return FeedbackStore(es[0])


@pytest.fixture
def clean(es):
    """Remove the events that name no collection, too."""
    rows = []
    yield rows
    ids = [row.id for row in rows]
    es[0].options(ignore_status=404).delete_by_query(
        index="bothways-feedback-*.*", query={"ids": {"values": ids}}, conflicts="proceed", refresh=True
    )


def lines_of(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_clicks_become_judged_queries_that_evaluation_reads(run, store, filled, clean, es, tmp_path):
    clean += used(store, filled, Wording("plain", tmp_path))
    es[0].indices.refresh(index="bothways-feedback-*.*")
    folder = tmp_path / "judged"
    code, out, error = run("learn", "judgments", "--collection", filled, "--out", folder)
    assert code == 0, error
    assert "answers" in out
    assert f"bothways eval {folder}/queries.jsonl --collection {filled}" in error
    qrels = (folder / "qrels.tsv").read_text("utf-8").splitlines()[1:]
    queries = {row["_id"]: row["text"] for row in lines_of(folder / "queries.jsonl")}
    judged = {(queries[query_id], doc_id): relevance for query_id, doc_id, relevance in (q.split("\t") for q in qrels)}
    assert set(queries.values()) == set(QUESTIONS)
    assert {pair for pair, relevance in judged.items() if relevance == "1"} == set(QUESTIONS.items())
    assert len(judged) > len(QUESTIONS)  # some are no answers for certain
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert report["read"]["searches"] == 120
    words = ("eval", folder / "queries.jsonl", "--collection", filled, "--strategies", "bm25", "--out", tmp_path / "e")
    code, _, error = run(*words, BOTHWAYS_EMBEDDING_MODEL="fake/hash")
    assert code == 0, error
    assert json.loads((tmp_path / "e" / "report.json").read_text("utf-8"))["queries"] == 3


def test_hashes_are_judged_by_chunk_and_give_no_questions(run, store, filled, clean, es, tmp_path):
    clean += used(store, filled, Wording("hashed", tmp_path))
    es[0].indices.refresh(index="bothways-feedback-*.*")
    folder = tmp_path / "judged"
    code, out, _ = run("learn", "judgments", "-c", filled, "--out", folder, "--json")
    report = json.loads(out)
    assert (code, report["positives"], report["queries"]) == (0, 3, 0)
    assert report["not_in_qrels"] == {"questions whose words are not kept": 3}
    rows = lines_of(folder / "judgments.jsonl")
    assert {row["chunk_id"] for row in rows if row["verdict"] == "positive"} == {"leave-0", "sick-0", "pay-0"}
    assert {row["text"] for row in rows} == {None}


def test_without_feedback_it_says_what_is_missing(run, tmp_path):
    name = f"none-{uuid.uuid4().hex}"
    code, out, error = run("learn", "judgments", "-c", name, "--out", tmp_path / "judged")
    assert code == 0
    assert "0 searches" in out
    assert "No question has a certain answer yet" in error
    assert (tmp_path / "judged" / "report.md").exists()


def test_days_end_the_period(store, filled, clean, es, tmp_path):
    clean += used(store, filled, Wording("plain", tmp_path))
    es[0].indices.refresh(index="bothways-feedback-*.*")
    ten_hours = 40 * 900
    all_of_it = judgments_from(store, filled, JudgmentThresholds(), now=START + ten_hours)
    half = judgments_from(store, filled, JudgmentThresholds(), days=5 * 3600 / 86_400, now=START + ten_hours)
    assert (all_of_it.tally.searches, half.tally.searches) == (120, 60)


def test_a_folder_that_cannot_be_written(run, tmp_path):
    (tmp_path / "file").write_text("x")
    code, _, error = run("learn", "judgments", "-c", f"none-{uuid.uuid4().hex}", "--out", tmp_path / "file" / "x")
    assert code == 2
    assert "cannot be written" in error
