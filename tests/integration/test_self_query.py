"""Self-query against a real Elasticsearch, on a small corpus of our own."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace

import pytest

from bothways.core.collections.collection import alias_of, open_collection
from bothways.core.errors import ElasticsearchError
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from bothways.search.options import STRATEGIES, SearchOptions
from bothways.search.pipeline import Searcher
from bothways.search.query.self_query.vocabularies import TTL_S, Vocabularies
from tests.fakes import FixedWriter, HashEncoder, OverlapCrossEncoder, make_parts

pytestmark = pytest.mark.elasticsearch

CLUB, POOL = "中华人民共和国棋社法（2021修订）", "泳池管理条例"
TEXTS = {
    (CLUB, "第一条"): "棋社应当登记，并公布章程。",
    (CLUB, "第二条"): "会员每年缴纳会费一次。",
    (CLUB, "第五百九十条"): "因洪水不能下棋的，免除赔偿责任。",
    (CLUB, "第五百九十条之一"): "对局中断的，次日续弈。",
    (POOL, "第一条"): "泳池应当登记，水质每日检测。",
    (POOL, "第二条"): "未成年人入池须有人陪同。",
    (POOL, "第三条"): "救生员应当持证上岗。",
    ("Staff Handbook", "Section 12"): "Travel is booked by the office.",
    ("Staff Handbook", "Section 13"): "Leave is asked for three days before.",
}


def write(folder, texts):
    rows = [
        {"_id": f"{law}{article}", "title": "条文", "text": text, "metadata": {"law": law, "rule": article}}
        for (law, article), text in texts.items()
    ]
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "c.jsonl").write_text("".join(lines), "utf-8")


@pytest.fixture(scope="module")
def corpus(es, segmenter, tmp_path_factory):
    """The name of a collection that is built once for all tests that only read it."""
    client, server = es
    folder, name = tmp_path_factory.mktemp("corpus"), f"test-{uuid.uuid4().hex}"
    write(folder, TEXTS)
    parts = make_parts((client, server), segmenter, writer=FixedWriter())
    index_path(folder, JobOptions(collection=name), parts)
    yield name
    client.indices.delete(index=f"bothways-{name}-v1")


@pytest.fixture
def ask(corpus, searcher):
    def run(question, **options):
        return searcher.search(question, corpus, SearchOptions(**({"strategy": "hybrid", "top_k": 9} | options)))

    return run


def ids(result):
    return [hit.doc_id for hit in result.hits]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_citation_brings_its_article_whatever_the_strategy(ask, strategy):
    result = ask("棋社法第五百九十条", strategy=strategy)
    assert ids(result) == [f"{CLUB}第五百九十条"]
    assert (result.self_query.mode, result.self_query.relaxed) == ("filter", False)
    assert [(each.text, dict(each.values)) for each in result.self_query.recognised] == [
        ("棋社法", {"law": (CLUB,)}),
        ("第五百九十条", {"rule": ("第五百九十条",)}),
    ]


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("棋社法590条之一", [f"{CLUB}第五百九十条之一"]),
        ("《泳池管理条例》第２条", [f"{POOL}第二条"]),
        ("棋社法第二条和泳池管理条例第三条", [f"{CLUB}第二条", f"{POOL}第三条"]),
        ("第一条", [f"{CLUB}第一条", f"{POOL}第一条"]),
        ("泳池管理条例第1条至第3条", [f"{POOL}第一条", f"{POOL}第二条", f"{POOL}第三条"]),
    ],
)
def test_what_is_cited_is_all_there_is(ask, question, found):
    assert sorted(ids(ask(question))) == sorted(found)


def test_a_question_about_a_citation_gets_it_first_and_the_rest_behind(ask):
    question = "棋社法第二条 未成年人入池须有人陪同"
    plain = ask(question, self_query=False)
    assert plain.self_query is None
    assert ids(plain)[0] == f"{POOL}第二条"
    result = ask(question)
    assert result.self_query.mode == "first"
    assert ids(result)[:2] == [f"{CLUB}第二条", f"{POOL}第二条"]
    assert sorted(ids(result)) == sorted(ids(plain))
    assert len(set(ids(result))) == len(ids(result))


def test_a_reranker_does_not_bury_what_is_cited(corpus, es, segmenter):
    client, _ = es
    searcher = Searcher(
        client, segmenter, HashEncoder, embedding_model="fake/hash", cross_encoder=lambda: OverlapCrossEncoder()
    )
    result = searcher.search("棋社法第二条 未成年人入池须有人陪同", corpus, SearchOptions(top_k=3))
    assert result.degraded == []
    assert ids(result)[:2] == [f"{CLUB}第二条", f"{POOL}第二条"]


def test_a_name_alone_lifts_what_it_names(ask):
    question = "泳池管理条例：应当登记"
    without = ask(question, strategy="bm25", self_query=False)
    result = ask(question, strategy="bm25")
    assert result.self_query.mode == "boost"
    scores, plain = ({hit.doc_id: hit.score for hit in each.hits} for each in (result, without))
    assert scores[f"{POOL}第一条"] == pytest.approx(2 * plain[f"{POOL}第一条"], rel=1e-4)
    assert scores[f"{CLUB}第一条"] == pytest.approx(plain[f"{CLUB}第一条"], rel=1e-4)


@pytest.mark.parametrize("question", ["棋社法第九千条", "泳池管理条例第五百九十条 洪水", "棋社法第三条"])
def test_a_citation_of_what_is_not_there_empties_nothing(ask, question):
    result = ask(question)
    assert result.self_query.relaxed
    assert sorted(ids(result)) == sorted(ids(ask(question, self_query=False)))
    assert result.hits


def test_an_explicit_filter_is_never_relaxed(ask):
    result = ask("棋社法第五百九十条", filters={"law": POOL})
    assert result.self_query.relaxed
    assert {hit.metadata["law"] for hit in result.hits} == {POOL}
    within = ask("第一条", filters={"law": {"not": CLUB}})
    assert ids(within) == [f"{POOL}第一条"]
    assert list(ask("棋社法第一条", filters={"law": "none such"}).hits) == []


def test_english(ask):
    assert ids(ask("What does section 13 of the staff handbook say?")) == ["Staff HandbookSection 13"]
    assert ids(ask("can I travel under staff handbook sec. 13"))[0] == "Staff HandbookSection 13"


def test_a_question_that_names_nothing_is_as_it_was(ask):
    result = ask("三个人下棋遇到洪水")
    assert result.self_query is None
    assert ids(result) == ids(ask("三个人下棋遇到洪水", self_query=False))


def test_a_vocabulary_that_cannot_be_learnt_costs_only_itself(ask, monkeypatch):
    def fail(*_, **__):
        raise ElasticsearchError("the aggregation was refused")

    monkeypatch.setattr("bothways.search.query.self_query.vocabularies.values_of", fail)
    result = ask("棋社法第五百九十条")
    assert (result.self_query, list(result.degraded)) == (None, ["self_query"])
    assert result.hits


def test_a_vocabulary_is_kept_and_then_renewed_behind_the_search(tmp_path, es, collection, build):
    client, _ = es
    now = [1000.0]
    started = []
    vocabularies = Vocabularies(client, clock=lambda: now[0], start=started.append)
    write(tmp_path, {(POOL, "第一条"): "泳池应当登记。", (POOL, "第二条"): "须有人陪同。"})
    build(tmp_path)
    opened = open_collection(client, collection)
    learnt = vocabularies.of(opened)
    tea = {("茶室规则", f"第{n}条"): f"茶室 {n}" for n in range(7, 9)}
    write(tmp_path, tea)
    build(tmp_path)
    now[0] += TTL_S - 1
    assert vocabularies.of(opened) is learnt
    assert not started
    now[0] += 2
    assert vocabularies.of(opened) is vocabularies.of(opened) is learnt
    assert len(started) == 1, "the old one serves while one thread learns the new one"
    started[0]()
    assert "茶室规则" in vocabularies.of(opened).names
    # The version goes, as after a rebuild; what was learnt of it stays until nobody asks any more.
    renewed = vocabularies.of(opened)
    client.indices.delete(index=opened.index)
    now[0] += TTL_S
    vocabularies.of(opened)
    started[1]()
    assert vocabularies.of(opened) is renewed
    assert len(started) == 2
    with pytest.raises(ElasticsearchError, match="reading the metadata"):
        Vocabularies(client).of(replace(opened, index=f"{opened.index}9"))


@pytest.mark.parametrize("limit", ["MAX_KEPT", "MAX_NAMES_KEPT"])
def test_the_vocabulary_that_was_not_asked_for_longest_is_forgotten(corpus, es, monkeypatch, limit):
    client, _ = es
    monkeypatch.setattr(f"bothways.search.query.self_query.vocabularies.{limit}", 1)
    opened = open_collection(client, corpus)
    vocabularies = Vocabularies(client)
    learnt = vocabularies.of(opened)
    assert vocabularies.of(opened) is learnt
    vocabularies.of(replace(opened, index=alias_of(corpus)))
    assert vocabularies.of(opened) is not learnt
    assert vocabularies.of(opened) == learnt


def test_a_field_of_any_name_leaves_the_others_recognised(es, segmenter, searcher, tmp_path):
    client, server = es
    name = f"test-{uuid.uuid4().hex}"
    odd = dict.fromkeys(("a[b]", "c>d", "[", "]", ">", "*", "e?", "f,g", ":", "%", "_h", "distinct0", "k" * 40000), "x")
    rows = [
        {"_id": f"{law}{article}", "text": text, "metadata": {"law": law, "rule": article, **odd}}
        for (law, article), text in TEXTS.items()
    ]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    report = index_path(
        tmp_path,
        JobOptions(collection=name),
        make_parts((client, server), segmenter, writer=FixedWriter()),
    )
    try:
        assert report.indexed == len(TEXTS)
        assert not report.failures
        assert {"a[b]", "c>d", "[", "]", ">", "e", "f_g", "h"} <= open_collection(client, name).metadata_fields
        result = searcher.search("泳池管理条例第三条", name, SearchOptions(strategy="bm25", top_k=3))
        assert result.self_query is not None
        assert [hit.doc_id for hit in result.hits] == [f"{POOL}第三条"]
        assert "self_query" not in result.degraded
    finally:
        client.indices.delete(index=f"bothways-{name}-v1")
