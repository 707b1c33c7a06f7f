"""`bothways learn expansion` on a real Elasticsearch: rewards by hand, a scripted language model, the rule in use."""

from __future__ import annotations

import json
import math

import pytest

from bothways.core.errors import EvaluationError, UsageError
from bothways.evaluation.expansion.rewards import Bench, Given
from bothways.evaluation.judged.queries import JudgedQuery, split_of
from bothways.search.options import SearchOptions
from bothways.search.pipeline import Searcher
from bothways.search.query.rewrite import QUERY2DOC
from bothways.search.query.when_to_rewrite import ExpansionRule
from tests.fakes import FixedRewriter
from tests.llm_server import Scripted, completion

pytestmark = pytest.mark.elasticsearch

# Characters of one bucket each: 水 and 火 are as far from each other as vectors of characters can be.
TEXTS = {"water": "水水水水水水", "both": "水水水火火火", "fire": "火火火火火火"}
OPTIONS = SearchOptions(strategy="dense", weight_pseudo_doc=1.0)


def write(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture
def bench(es, segmenter, encoder, collection, tmp_path, build):
    folder = tmp_path / "docs"
    folder.mkdir()
    write(folder / "corpus.jsonl", [{"_id": name, "title": "", "text": text} for name, text in TEXTS.items()])
    build(folder)

    def make(*judged, rule=None, options=OPTIONS):
        given = Given()
        searcher = Searcher(
            es[0], segmenter, lambda: encoder, embedding_model="fake/hash", rewriter=lambda: given, expansion_rule=rule
        )
        return Bench(searcher, given, collection, judged, options=options)

    return make


def test_rewards_by_hand(bench):
    measured = bench(
        JudgedQuery(query_id="low", text="水", relevant={"fire": 1}),
        JudgedQuery(query_id="top", text="水", relevant={"water": 1}),
        JudgedQuery(query_id="two", text="水", relevant={"both": 1}),
    )
    # For 水 the order is water, both, fire; for the pseudo-document 火 alone it is the other way round.
    third, second = 1 / math.log2(4), 1 / math.log2(3)
    assert measured.first_pass("low").value == pytest.approx(third)
    assert measured.expanded("low", "火火火") == pytest.approx(1.0)
    assert measured.first_pass("top").value == pytest.approx(1.0)
    assert measured.expanded("top", "火火火") == pytest.approx(third)
    assert measured.first_pass("two").value == pytest.approx(second)
    assert measured.expanded("two", "火火火") == pytest.approx(second)
    assert measured.expanded("two", "水火") == pytest.approx(1.0)


def test_the_first_pass_says_what_auto_would_do(bench):
    always = ExpansionRule(kind="always", intercept=1.0, terms={}, strategy="dense", embedding_model="fake/hash")
    query = JudgedQuery(query_id="q", text="水", relevant={"fire": 1})
    assert bench(query, rule=always).first_pass("q").in_use is True
    told = bench(query).first_pass("q")
    assert (told.in_use, told.may_ask) == (False, True)  # three hits are too few for the built-in bound
    assert told.signs.keys() == {"length"}


def test_a_question_that_is_only_a_citation_is_never_asked_about(es, segmenter, encoder, collection, tmp_path, build):
    texts = {"第一条": "泳池应当登记。", "第二条": "未成年人入池须有人陪同。", "第三条": "救生员应当持证上岗。"}
    rows = [
        {"_id": rule, "title": "条文", "text": text, "metadata": {"law": "泳池管理条例", "rule": rule}}
        for rule, text in texts.items()
    ]
    write(tmp_path / "c.jsonl", rows)
    build(tmp_path)
    always = ExpansionRule(kind="always", intercept=1.0, terms={}, strategy="hybrid", embedding_model="fake/hash")
    searcher = Searcher(es[0], segmenter, lambda: encoder, embedding_model="fake/hash", expansion_rule=always)
    judged = [
        JudgedQuery(query_id="cites", text="泳池管理条例第二条", relevant={"第二条": 1}),
        JudgedQuery(query_id="asks", text="小孩能游泳吗", relevant={"第二条": 1}),
    ]
    measured = Bench(searcher, Given(), collection, judged, options=SearchOptions(strategy="hybrid"))
    cites, asks = measured.first_pass("cites"), measured.first_pass("asks")
    assert (cites.may_ask, cites.in_use, cites.value) == (False, False, 1.0)
    assert (asks.may_ask, asks.in_use) == (True, True)


def test_what_cannot_be_measured_is_refused(bench):
    query = JudgedQuery(query_id="q", text="水", relevant={"fire": 1})
    with pytest.raises(UsageError, match="Expansion changes nothing in 'bm25'"):
        bench(query, options=SearchOptions(strategy="bm25"))
    with pytest.raises(UsageError, match="BOTHWAYS_LEG_K has to be 10"):
        bench(query, options=SearchOptions(strategy="dense", leg_k=5))
    with pytest.raises(EvaluationError, match="ran without rerank"):
        bench(query, options=SearchOptions(strategy="hybrid_rerank")).first_pass("q")


def test_auto_goes_by_the_rule(bench, es, segmenter, encoder, collection):
    bench()
    asked = SearchOptions(strategy="dense", rewrite="auto", weight_pseudo_doc=1.0)
    found = {}
    for kind, intercept in (("always", 1.0), ("never", -1.0)):
        searcher = Searcher(
            es[0],
            segmenter,
            lambda: encoder,
            embedding_model="fake/hash",
            rewriter=lambda: FixedRewriter("火火火"),
            expansion_rule=ExpansionRule(
                kind=kind, intercept=intercept, terms={}, strategy="dense", embedding_model="m"
            ),
        )
        found[kind] = searcher.search("水", collection, asked)
    assert [found[kind].hits[0].doc_id for kind in ("always", "never")] == ["fire", "water"]
    assert [found[kind].rewritten for kind in ("always", "never")] == ["火火火", None]
    assert (found["always"].expansion.wanted, found["always"].expansion.rule) == (True, "always")
    assert found["never"].expansion.wanted is False


@pytest.fixture
def server():
    running = Scripted()
    yield running
    running.close()


TOPICS = [
    "年假",
    "病假",
    "工资",
    "加班",
    "出差",
    "报销",
    "入职",
    "离职",
    "会议室",
    "打印机",
    "食堂",
    "班车",
    "社保",
    "体检",
    "培训",
]


@pytest.fixture
def judged(tmp_path, run, collection):
    """Give judged questions of a collection that the shipped embedding model has indexed: 10 of train, 3 of dev."""
    folder = tmp_path / "docs"
    folder.mkdir()
    write(
        folder / "c.jsonl", [{"_id": f"d{n}", "title": "", "text": f"{t}由行政部负责。"} for n, t in enumerate(TOPICS)]
    )
    code, _, err = run("index", folder, "--collection", collection, "--no-questions")
    assert code == 0, err
    ids = {"train": [], "dev": []}
    for n in range(200):
        ids[split_of(f"q{n}")].append(f"q{n}")
    chosen = [*ids["train"][:10], *ids["dev"][:3]]
    rows = [{"_id": q, "query": f"{TOPICS[n]}归谁管", "gold": {"doc_id": f"d{n}"}} for n, q in enumerate(chosen)]
    return write(tmp_path / "queries.jsonl", rows)


def answers(server):
    """Let the model write another topic's text on every second request."""
    server.script = [lambda _: (200, completion(f"{TOPICS[len(server.requests) % 2 * -1]}由行政部负责。"))]


def test_the_whole_command(judged, run, collection, server, tmp_path):
    answers(server)
    out = tmp_path / "out"
    environment = {"BOTHWAYS_LLM_BASE_URL": server.url}
    words = ("learn", "expansion", judged, "--collection", collection, "--split", "all", "--samples", "2", "--out", out)
    code, told, err = run(*words, "--temperature", "0.7", **environment)
    assert code == 0, err
    assert "| train | 10 | 20 |" in told
    assert "| dev | 3 | 6 |" in told
    assert len(server.requests) == 26
    assert {request["temperature"] for request in server.requests} == {0.7}
    assert {request["model"] for request in server.requests} == {"first"}
    question = json.loads(judged.read_text("utf-8").splitlines()[0])["query"]
    assert QUERY2DOC.fill(question, like=question) in [r["messages"][0]["content"] for r in server.requests]
    rows = [json.loads(line) for line in (out / "samples.jsonl").read_text("utf-8").splitlines()]
    queries = map(json.loads, (out / "queries.jsonl").read_text("utf-8").splitlines())
    plain = {row["query_id"]: row["value"] for row in queries}
    assert all(row["reward"] == pytest.approx(row["value"] - plain[row["query_id"]]) for row in rows)
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert report["counts"] == {
        "queries": 13, "without_expansion": 0, "samples": 26, "failed_samples": 0,
        "preference_pairs": report["counts"]["preference_pairs"],
    }  # fmt: skip
    pairs = out / "preferences.jsonl"
    assert report["counts"]["preference_pairs"] == (len(pairs.read_text("utf-8").splitlines()) if pairs.exists() else 0)
    assert report["source"] == "2 samples of first at temperature 0.7"
    # Another price needs no search and no language model: all rewards are there.
    code, told, err = run(*words, "--temperature", "0.7", "--price", "1", "--resume", "--json", **environment)
    assert (code, json.loads(told)["chosen"]["name"], len(server.requests)) == (0, "never", 26), err
    assert json.loads((out / "rule.json").read_text("utf-8"))["kind"] == "never"
    # The rule is in force where it is named, and what it went by is told.
    code, told, err = run(
        "search", question, "--collection", collection, "--strategy", "hybrid", "--rewrite", "auto", "--explain",
        "--json", BOTHWAYS_EXPANSION_RULE=str(out / "rule.json"), **environment,
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(told)["expansion"]["rule"] == json.loads((out / "rule.json").read_text("utf-8"))["kind"]
    code, _, err = run(*words, "--temperature", "0.7", **environment)
    assert (code, "is not empty" in err) == (2, True)


def test_a_language_model_that_dies_and_comes_back(judged, run, collection, server, tmp_path):
    answers(server)
    alive, out = server.script[0], tmp_path / "out"
    server.script = [
        lambda request: alive(request) if len(server.requests) <= 5 else (503, {"error": {"message": "x"}})
    ]
    environment = {"BOTHWAYS_LLM_BASE_URL": server.url, "BOTHWAYS_FIXED": '{"llm_max_retries": 0}'}
    words = ("learn", "expansion", judged, "--collection", collection, "--samples", "1", "--out", out)
    code, _, err = run(*words, **environment, BOTHWAYS_LLM_CONCURRENCY="1")
    assert code == 1
    assert "samples found no language model" in err
    assert "the same command with --resume goes on" in err
    rows = [json.loads(line) for line in (out / "samples.jsonl").read_text("utf-8").splitlines()]
    assert [bool(row.get("error")) for row in rows] == [False] * 5 + [True] * 4
    before = len(server.requests)
    server.script = [alive]
    code, told, err = run(*words, "--resume", "--json", **environment)
    assert code == 0, err
    assert json.loads(told)["counts"]["failed_samples"] == 0
    assert len(server.requests) - before == 5
    rows = [json.loads(line) for line in (out / "samples.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 14


def test_bad_usage_says_what_to_do(judged, run, collection, tmp_path):
    words = ("learn", "expansion", judged, "--collection", collection, "--out", tmp_path / "out")
    code, _, err = run(*words)
    assert (code, "set BOTHWAYS_LLM_BASE_URL" in err) == (2, True)
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\n", "utf-8")
    code, _, err = run(*words, "--expansions", bad)
    assert (code, "line 1: expected" in err) == (2, True)
    good = write(
        tmp_path / "good.jsonl", [{"query": f"{topic}归谁管", "pseudo_doc": "由行政部负责"} for topic in TOPICS]
    )
    code, _, err = run(*words, "--expansions", good, "--strategy", "bm25")
    assert (code, "Expansion changes nothing" in err) == (2, True)
    code, _, err = run(*words, "--expansions", good, "--split", "test")
    assert (code, "'test' is not one of" in err) == (2, True)
    bad.write_text('{"format": 7}', "utf-8")
    code, _, err = run(*words, "--expansions", good, BOTHWAYS_EXPANSION_RULE=str(bad))
    assert (code, "its format is 7" in err) == (2, True)
    assert not (tmp_path / "out").exists()
