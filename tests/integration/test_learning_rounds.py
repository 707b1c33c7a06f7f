"""The weekly job on a real Elasticsearch: what changes, what does not, what goes live, and what is taken back."""

from __future__ import annotations

import json
import uuid

import numpy as np
import pytest
import structlog

from benchmarks.learning.simulated_readers import RandomReader
from bothways.core.collections.collection import open_collection
from bothways.core.collections.lease import lease_name
from bothways.core.elastic.lease import Leases
from bothways.core.errors import CollectionNotFoundError, LLMError, LLMUnavailableError, UsageError
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.indexer.doc2query.recorded_questions import RecordedQuestions
from bothways.indexer.versions.rollback import list_versions
from bothways.indexer.versions.versions import swap_alias
from bothways.learning.feedback.rows import Row, at, event_row
from bothways.learning.feedback.store import FeedbackStore
from bothways.learning.judgments.holdout import is_held_out
from bothways.learning.weekly.gate import Demands
from bothways.learning.weekly.history import INDEX, History
from bothways.learning.weekly.parts import RunLimits, RunOptions
from bothways.learning.weekly.promotion import roll_back
from bothways.learning.weekly.run import learn_round
from bothways.search.options import SearchOptions
from bothways.search.pinned import pinned
from tests.integration.learning_from_users import BEFORE, QUESTIONS, TEXTS, Model, searches, write_corpus

pytestmark = pytest.mark.elasticsearch

NEW = ["想歇几天先跟谁说", "家里有事走不开如何办手续"]
ASKED = next(q for q in ("我想休息怎么弄", "不想上班怎么说", "想出去玩几天") if not is_held_out(q, 0.25))
HELD = [q for q in (f"第{n}件事在哪里看" for n in range(60)) if is_held_out(q, 0.25)][:3]


@pytest.fixture
def docs(tmp_path):
    return write_corpus(tmp_path)


@pytest.fixture
def live(es, build, docs, collection):
    build(docs[0], writer=RecordedQuestions(docs[1]))
    yield collection
    es[0].options(ignore_status=404).delete_by_query(
        index=INDEX, query={"term": {"collection": collection}}, conflicts="proceed", refresh=True
    )


@pytest.fixture
def chosen(es_settings, tmp_path):
    update = {"embedding_model": "fake/hash", "cache_dir": tmp_path / "cache", "questions_per_chunk": 2}
    return es_settings.model_copy(update=update)


@pytest.fixture
def record(es, live):
    def write(*rows):
        assert FeedbackStore(es[0]).write([row for part in rows for row in part]) == []
        es[0].indices.refresh(index="bothways-feedback-*.*")

    return write


def regression():
    """One frozen question a document, in its own words."""
    return [
        JudgedQuery(query_id=f"r{n}", text=text[2:9], relevant={name: 1})
        for n, (name, text) in enumerate(TEXTS.items())
    ]


@pytest.fixture
def learn(es, live, searcher, chosen, tmp_path):
    def run(llm, **other):
        options = RunOptions(
            **{
                "search": SearchOptions(strategy="hybrid", self_query=False),
                "steps": ["questions"],
                "regression": regression(),
                "demands": Demands(min_held_out=1, min_regression=5, margin=0.5),
                "limits": RunLimits(max_share=0.5),
                **other,
            }
        )
        searcher.versions.forget(live)
        return learn_round(chosen, searcher, es[1], live, options, tmp_path / "out", llm=llm)

    return run


def all_of(client, index):
    body = {"includes": ["*"], "exclude_vectors": False}
    found = client.search(index=index, size=100, query={"match_all": {}}, source=body)
    return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}


def versions_of(client, name):
    return sorted(client.indices.get(index=f"bothways-{name}-v*").body)


def usual(collection):
    """Searches in which a chosen chunk stood low, and three held-out questions that the gate may look at."""
    rows = [searches(collection, ASKED, "leave")]
    return rows + [searches(collection, q, name, low=False) for q, name in zip(HELD, TEXTS, strict=False)]


def test_a_round_changes_what_users_missed_and_carries_all_else_over(es, live, record, learn, searcher, tmp_path):
    client = es[0]
    record(*usual(live))
    before = all_of(client, f"bothways-{live}-v1")
    encoded = sum(searcher.encoder().batches)
    model = Model({"leave": NEW})
    report = learn(model)
    [step] = report["steps"]
    assert step["state"] == "promoted", step["reason"]
    assert (step["changed"], step["encoded"]) == (1, 2)
    opened = open_collection(client, live)
    assert opened.index == f"bothways-{live}-v2"
    after = all_of(client, opened.index)
    assert [chunk for chunk in before if before[chunk] != after[chunk]] == ["leave-0"]
    changed = {name for name in before["leave-0"] if before["leave-0"][name] != after["leave-0"][name]}
    assert changed == {"questions", "generation"}, "vector, text and hashes are those of before"
    assert after["leave-0"]["question_count"] == len(NEW)
    assert [one["text"] for one in after["leave-0"]["questions"]] == NEW
    old = before["leave-0"]["generation"]
    assert after["leave-0"]["generation"] == f"{old}+learnt-1"
    assert {one["generation"] for one in after["leave-0"]["questions"]} == {f"{old}+learnt-1"}
    assert sum(searcher.encoder().batches) - encoded < 100, "a check and some searches, no chunk of the collection"
    # It is found by the new words through both halves of the search, and no longer by the old ones' nested vectors.
    hit = searcher.search(NEW[0], live, SearchOptions(strategy="questions", explain=True)).hits[0]
    assert (hit.chunk_id, hit.legs["questions"].matched) == ("leave-0", NEW[0])
    # What the live version was begun with is known again, and nothing says that it is a candidate.
    assert opened.built_from == open_collection_of(client, live, 1).built_from
    [prompt] = model.prompts
    assert ASKED in prompt
    told = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert f"“{ASKED}”: chosen although it stood at rank 5.0 on average" in told
    assert f"- now: {' / '.join(NEW)}" in told
    assert json.loads((tmp_path / "out" / "report.json").read_text("utf-8")) == report


def open_collection_of(client, name, number):
    from bothways.core.collections.collection import open_index

    return open_index(client, name, f"bothways-{name}-v{number}")


def test_an_indexing_run_leaves_what_was_learnt_alone(es, build, docs, live, record, learn):
    record(*usual(live))
    assert learn(Model({"leave": NEW}))["steps"][0]["state"] == "promoted"
    again = build(docs[0], writer=RecordedQuestions(docs[1]))
    assert (again.index, again.unchanged, again.indexed) == (f"bothways-{live}-v2", len(TEXTS), 0)
    assert [one["text"] for one in all_of(es[0], again.index)["leave-0"]["questions"]] == NEW


def test_a_renamed_file_keeps_what_was_learnt(es, build, docs, live, record, learn):
    record(*usual(live))
    learn(Model({"leave": NEW}))
    folder = docs[0]
    rows = [json.loads(line) for line in (folder / "corpus.jsonl").read_text("utf-8").splitlines()]
    moved = [{**row, "_id": f"{row['_id']}-moved"} for row in rows]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in moved)
    (folder / "corpus.jsonl").write_text(text, "utf-8")
    report = build(folder, writer=RecordedQuestions(docs[1]))
    assert report.reused == len(TEXTS)
    stored = all_of(es[0], f"bothways-{live}")["leave-moved-0"]
    assert [one["text"] for one in stored["questions"]] == NEW
    assert stored["generation"].endswith("+learnt-1")


def test_hints_and_held_out_and_regression_questions_are_never_written(live, record, learn, es):
    record(*usual(live))
    frozen = regression()[0].text
    answer = [ASKED, f"{ASKED}？", HELD[0], frozen, *NEW]
    [step] = learn(Model({"leave": answer}), demands=Demands(min_held_out=1, min_regression=5, margin=0.9))["steps"]
    assert step["state"] == "promoted"
    kept = [one["text"] for one in all_of(es[0], f"bothways-{live}")["leave-0"]["questions"]]
    assert not set(kept) & {ASKED, f"{ASKED}？", HELD[0], frozen}
    assert step["dropped_as_copies"]["what users asked"] >= 2


def test_an_answer_of_copies_alone_fails_and_is_asked_again(es, live, record, learn):
    record(*usual(live))
    [step] = learn(Model({"leave": [ASKED]}))["steps"]
    assert step["state"] == "nothing"
    assert "copies of what users asked" in step["failures"][0]["reason"]
    assert versions_of(es[0], live) == [f"bothways-{live}-v1"]


def test_the_same_evidence_is_acted_on_once(live, record, learn):
    record(*usual(live))
    assert learn(Model({"leave": NEW}))["steps"][0]["state"] == "promoted"
    [step] = learn(Model({}))["steps"]
    assert (step["state"], step["judgments_acted_on_before"]) == ("nothing", 1)


def test_questions_that_drew_the_wrong_searches_are_written_anew(live, record, learn):
    rows = [searches(live, ASKED, "leave", by_questions=("pay",), times=20)]
    record(*rows, *usual(live)[1:])
    model = Model({"leave": NEW, "pay": ["钱什么时候到手", "薪水打到哪张卡"]})
    [step] = learn(model)["steps"]
    changes = {one["chunk_id"]: one for one in step["changes"]}
    assert changes["pay-0"]["failed"] == [ASKED]
    assert "brought by its questions and passed over" in changes["pay-0"]["reasons"][0]
    assert any('"not_answered": [\n  "' + ASKED in prompt for prompt in model.prompts)


def test_a_refused_candidate_is_kept_and_not_in_use(es, live, record, learn):
    record(*usual(live))
    [step] = learn(Model({"leave": NEW}), demands=Demands(min_held_out=1, min_regression=9))["steps"]
    assert step["state"] == "refused"
    assert "regression set: 8 judged queries, 9 are needed" in step["reason"]
    assert open_collection(es[0], live).index == f"bothways-{live}-v1"
    assert step["candidate"] in versions_of(es[0], live)
    assert open_collection_of(es[0], live, 2).is_discarded
    assert History(es[0]).of(live) == []
    # The next run makes its own, and the one before goes.
    [step] = learn(Model({"leave": NEW}), demands=Demands(min_held_out=1, min_regression=9))["steps"]
    assert versions_of(es[0], live) == [f"bothways-{live}-v1", step["candidate"]]
    [step] = learn(Model({"leave": NEW}), demands=Demands(min_held_out=1, min_regression=9), remove_refused=True)[
        "steps"
    ]
    assert versions_of(es[0], live) == [f"bothways-{live}-v1"]


def test_harm_is_seen_and_refused(es, live, record, learn):
    """The model is misled: what it writes for one chunk is what all the others are found by."""
    record(*usual(live))
    stolen = [text[2:14] for name, text in TEXTS.items() if name != "leave"]
    frozen = [
        JudgedQuery(query_id=f"r{n}", text=f"{text[3:9]}", relevant={name: 1})
        for n, (name, text) in enumerate(TEXTS.items())
        if name != "leave"
    ]
    [step] = learn(
        Model({"leave": stolen}),
        regression=frozen,
        search=SearchOptions(strategy="questions", self_query=False),
        demands=Demands(min_held_out=1, min_regression=5, measure="mrr@10"),
    )["steps"]
    assert step["state"] == "refused", step["reason"]
    assert "regression set" in step["reason"]
    assert open_collection(es[0], live).index == f"bothways-{live}-v1"


def test_a_cap_on_what_one_round_changes(live, record, learn):
    others = [q for q in (f"{n}号楼的事情谁管" for n in range(40)) if not is_held_out(q, 0.25)][:3]
    record(*usual(live), *(searches(live, q, name) for q, name in zip(others, ["pay", "fire", "meet"], strict=True)))
    [step] = learn(Model({}), limits=RunLimits(max_share=0.25))["steps"]
    assert (step["may_change"], len(step["changes"]), step["waiting_for_a_later_run"]) == (2, 2, 2)
    [step] = learn(Model({}), limits=RunLimits(max_share=0.0))["steps"]
    assert step["state"] == "nothing"
    assert "raise max_share" in step["reason"]


def test_rollback_puts_the_version_before_back_and_it_is_not_learnt_again(es, live, record, learn):
    record(*usual(live))
    learn(Model({"leave": NEW}))
    done = roll_back(es[0], live)
    assert (done.index_before, done.index) == (f"bothways-{live}-v2", f"bothways-{live}-v1")
    stored = all_of(es[0], f"bothways-{live}")["leave-0"]["questions"]
    assert [one["text"] for one in stored] == QUESTIONS["leave"]
    with pytest.raises(UsageError, match="nothing to take back"):
        roll_back(es[0], live)
    [step] = learn(Model({"leave": NEW}))["steps"]
    assert (step["state"], step["judgments_acted_on_before"]) == ("nothing", 1)


def test_a_promoted_version_is_no_candidate_wherever_the_alias_points(es, live, record, learn):
    """After a partial restore the alias points to the version before: the promoted one was live, and stays."""
    alias = f"bothways-{live}"
    record(*usual(live))
    assert learn(Model({"leave": NEW}))["steps"][0]["state"] == "promoted"
    swap_alias(es[0], alias, to=f"{alias}-v1")
    other = next(q for q in ("钱哪天到账呀", "何时给钱啊", "薪水啥时候有") if not is_held_out(q, 0.25))
    record(searches(live, other, "pay"))
    learn(Model({"leave": NEW, "pay": ["钱什么时候到手", "薪水打到哪张卡"]}))
    assert f"{alias}-v2" in versions_of(es[0], live)
    states = {version.number: version.state for version in list_versions(es[0], live)}
    assert states[2] == "kept"


def test_a_candidate_says_what_it_is(es, live, record, learn):
    record(*usual(live))
    learn(Model({"leave": NEW}), demands=Demands(min_held_out=1, min_regression=9))
    meta = es[0].indices.get_mapping(index=f"bothways-{live}-v2")[f"bothways-{live}-v2"]["mappings"]["_meta"]
    assert meta["state"] == "candidate"
    assert meta["failed_check"].startswith("refused by the promotion gate")
    assert [(version.number, version.state) for version in list_versions(es[0], live)] == [
        (1, "live"),
        (2, "failed its check"),
    ]
    with structlog.testing.capture_logs() as logs:
        assert learn(Model({"leave": NEW}))["steps"][0]["state"] == "promoted"
    (removed,) = [line for line in logs if line["event"] == "version_removed"]
    assert (removed["index"], removed["chunks"]) == (f"bothways-{live}-v2", len(TEXTS))


def test_rollback_after_a_rebuild_says_what_to_do(es, build, docs, live, record, learn):
    record(*usual(live))
    learn(Model({"leave": NEW}))
    build(docs[0], writer=RecordedQuestions(docs[1]), recreate=True)
    with pytest.raises(UsageError, match="collections rollback"):
        roll_back(es[0], live)


def test_a_dead_model_is_told_and_changes_nothing(es, live, record, learn):
    record(*usual(live))
    [step] = learn(Model({"leave": LLMUnavailableError("nobody answers at http://x.")}))["steps"]
    assert step["state"] == "failed"
    assert "The language model gives no questions" in step["reason"]
    assert "nobody answers at http://x." in step["reason"]
    assert versions_of(es[0], live) == [f"bothways-{live}-v1"]
    assert learn(Model({"leave": NEW}))["steps"][0]["state"] == "promoted", "the next run does it"


def test_a_chunk_that_fails_keeps_its_questions_and_is_asked_again(es, live, record, learn):
    other = next(q for q in ("钱哪天到账呀", "何时给钱啊", "薪水啥时候有") if not is_held_out(q, 0.25))
    record(*usual(live), searches(live, other, "pay"))
    [step] = learn(Model({"leave": NEW, "pay": LLMError("I will not.")}))["steps"]
    assert (step["state"], step["changed"], [one["chunk_id"] for one in step["failures"]]) == (
        "promoted",
        1,
        ["pay-0"],
    )
    stored = all_of(es[0], f"bothways-{live}")
    assert [one["text"] for one in stored["pay-0"]["questions"]] == QUESTIONS["pay"]
    [step] = learn(Model({"pay": ["钱什么时候到手", "薪水打到哪张卡"]}))["steps"]
    assert [one["chunk_id"] for one in step["changes"]] == ["pay-0"]


def test_an_interrupted_run_harms_nothing_and_the_next_one_pays_nothing_twice(es, live, record, learn, monkeypatch):
    record(*usual(live))
    model = Model({"leave": NEW})

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("bothways.learning.weekly.questions.candidate._updates", interrupted)
        with pytest.raises(KeyboardInterrupt):
            learn(model)
    assert open_collection(es[0], live).index == f"bothways-{live}-v1"
    assert versions_of(es[0], live) == [f"bothways-{live}-v1", f"bothways-{live}-v2"], "what it had begun"
    assert Leases(es[0]).read(lease_name(live)) is None
    [step] = learn(model)["steps"]
    assert (step["state"], step["llm"]["calls"], step["llm"]["cached"]) == ("promoted", 0, 1)
    assert step["candidate"] == f"bothways-{live}-v2"
    assert len(model.prompts) == 1


def test_a_rebuild_takes_no_candidate_for_its_own(es, build, docs, live, record, learn):
    record(*usual(live))
    learn(Model({"leave": NEW}), demands=Demands(min_held_out=1, min_regression=9))
    report = build(docs[0], writer=RecordedQuestions(docs[1]), recreate=True)
    assert (report.indexed, report.held) == (len(TEXTS), "")
    assert report.index == f"bothways-{live}-v3"
    assert versions_of(es[0], live) == [f"bothways-{live}-v1", f"bothways-{live}-v3"]


def test_a_job_that_writes_the_collection_is_not_crossed(live, record, learn, es):
    record(*usual(live))
    with Leases(es[0]).hold(lease_name(live), note="j1"):
        [step] = learn(Model({"leave": NEW}))["steps"]
    assert step["state"] == "failed"
    assert "bothways jobs show j1 --watch" in step["reason"]
    assert open_collection(es[0], live).index == f"bothways-{live}-v1"


def test_without_feedback_there_is_nothing_to_learn(live, learn):
    [step] = learn(Model({}))["steps"]
    assert step["state"] == "nothing"
    assert step["reason"].startswith("nothing to learn from: 0 searches")


def test_a_dry_run_asks_and_writes_nothing(es, live, record, learn, tmp_path):
    record(*usual(live))
    model = Model({})
    [step] = learn(model, dry_run=True)["steps"]
    assert (step["state"], step["would_ask"]["calls"]) == ("planned", 1)
    assert model.prompts == []
    assert versions_of(es[0], live) == [f"bothways-{live}-v1"]
    assert not (tmp_path / "out").exists()


def test_an_unknown_collection(es, searcher, chosen, tmp_path):
    options = RunOptions(search=SearchOptions())
    with pytest.raises(CollectionNotFoundError):
        learn_round(chosen, searcher, es[1], "test-none", options, tmp_path, llm=None)


def test_a_pinned_searcher_looks_at_its_version(es, live, record, learn, searcher):
    record(*usual(live))
    before = open_collection(es[0], live)
    learn(Model({"leave": NEW}))
    options = SearchOptions(strategy="questions")
    assert pinned(searcher, before).search(NEW[0], live, options).index == before.index
    searcher.versions.forget(live)
    assert searcher.search(NEW[0], live, options).index == f"bothways-{live}-v2"


def test_a_poisoned_round_is_refused_before_anything_is_asked(es, live, record, learn):
    chance = np.random.default_rng(4)
    rows = []
    for question in range(12):
        shown = [f"{name}-0" for name in chance.permutation(list(TEXTS))]
        for number in range(20):
            now, query_id = BEFORE + number * 900, uuid.uuid4().hex
            hits = [{"chunk_id": c, "doc_id": c[:-2], "rank": n, "legs": {}} for n, c in enumerate(shown, 1)]
            source = {
                "kind": "query", "application": live, "query_id": query_id, "timestamp": at(now),
                "user_query": f"随便问的第{question}件事", "hits": hits,
                "query_attributes": {"text": "plain", "strategy": "hybrid"},
            }  # fmt: skip
            rows.append(Row(query_id, source))
            for chunk, action in RandomReader(0.3).react(shown, {}, chance):
                rows.append(event_row(query_id, chunk, action, shown=(live, 1), now=now))
    record(rows)
    model = Model({})
    report = learn(model, steps=["questions", "reranker"])
    told = [(step["step"], step["state"]) for step in report["steps"]]
    assert told == [("questions", "refused"), ("reranker", "refused")]
    assert "the clicks look like those of a script" in report["steps"][0]["reason"]
    assert model.prompts == []
    assert versions_of(es[0], live) == [f"bothways-{live}-v1"]
