"""What a search shows beside its hits, against a real Elasticsearch: matched words, highlights, facets, neighbours,
pages."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from elasticsearch import ConnectionError as LostError
from elasticsearch import Elasticsearch

from bothways.core.errors import UnknownFieldError
from bothways.core.results import Facet
from bothways.search.options import SearchOptions
from bothways.search.pipeline import Searcher
from tests.fakes import FixedWriter, OverlapCrossEncoder

pytestmark = pytest.mark.elasticsearch

ROWS = [
    {
        "_id": "faint",
        "text": "丈夫昏迷的，妻子应当送医。其他情形另行规定。",
        "metadata": {"area": "family", "year": 2020},
    },
    {"_id": "leave", "text": "员工可以随时解除劳动合同。", "metadata": {"area": "work", "year": 2024}},
    {"_id": "pay", "text": "工资于每月十日发放，Pay Day 另行通知。", "metadata": {"area": "work"}},
]

LAW = """中华人民共和国甲法
第一条 为了规范甲类活动，制定本法。
第二条 甲类活动应当诚实。
第三条 从事甲类活动的，应当登记。
第四条 未登记的，处以罚款。
第五条 本法自公布之日起施行。
"""


def ask(searcher, collection, text, **options):
    return searcher.search(text, collection, SearchOptions(**{"strategy": "hybrid"} | options))


@pytest.fixture
def filled(tmp_path, build):
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), "utf-8")
    build(tmp_path, writer=FixedWriter())


SHOWING = ("indices.analyze", "mget", "search", "msearch")


@pytest.fixture
def counting(filled, searcher, collection, monkeypatch):
    """Counts the requests of searches by their kind; what a first search learns of a collection is known."""
    ask(searcher, collection, "规定")
    counts = dict.fromkeys(SHOWING, 0)
    real = Elasticsearch.perform_request

    def counted(self, *args, endpoint_id=None, **kwargs):
        if endpoint_id in counts:
            counts[endpoint_id] += 1
        return real(self, *args, endpoint_id=endpoint_id, **kwargs)

    monkeypatch.setattr(Elasticsearch, "perform_request", counted)
    return counts


def test_explain_names_words_and_synonyms(filled, searcher, collection):
    """`老公, 丈夫` and `晕倒, 昏迷, 昏倒` stand in the synonyms file, cut as the index cuts."""
    hit = ask(searcher, collection, "老公晕倒，其他情形", explain=True).hits[0]
    assert hit.doc_id == "faint"
    told = hit.legs["bm25"].words
    assert set(told.words) == {"其他", "情形"}
    assert dict(told.synonyms) == {"丈夫": "老公", "昏迷": "晕倒"}
    assert told.bigrams == ()
    assert hit.legs["text_sem"].words is None


def test_explain_names_words_of_the_questions_alone(filled, searcher, collection):
    """The fake writer's second question is `怎么办` with the end of the text."""
    hit = ask(searcher, collection, "怎么办 工资", explain=True, strategy="bm25").hits[0]
    told = hit.legs["bm25"].words
    assert (hit.doc_id, told.words, told.in_questions) == ("pay", ("怎么办", "工资"), ("怎么办",))


def test_synonyms_of_several_words(filled, searcher, collection):
    """`离职, 辞职, 解除 劳动合同`: found, explained and marked side by side in the raw text."""
    hit = ask(searcher, collection, "离职", explain=True, highlight=True, strategy="bm25").hits[0]
    assert dict(hit.legs["bm25"].words.synonyms) == {"解除 劳动合同": "离职"}
    assert hit.highlights == ("员工可以随时<em>解除劳动合同</em>。",)


def test_highlights_mark_synonyms_in_the_raw_text(filled, searcher, collection):
    hit = ask(searcher, collection, "老公晕倒", highlight=True, strategy="bm25").hits[0]
    assert hit.highlights == ("<em>丈夫</em><em>昏迷</em>的，妻子应当送医。",)
    hit = ask(searcher, collection, "ｐａｙ　ＤＡＹ", highlight=True, strategy="bm25").hits[0]
    assert hit.highlights == ("工资于每月十日发放，<em>Pay</em> <em>Day</em> 另行通知。",)


def test_synonyms_are_asked_for_once(searcher, collection, counting):
    for offset in (0, 1, 0):
        ask(searcher, collection, "老公晕倒", highlight=True, offset=offset, top_k=1)
    assert tuple(counting.values()) == (1, 0, 0, 3)


def test_each_wish_costs_one_request_for_all_hits(searcher, collection, counting):
    ask(searcher, collection, "老公晕倒", explain=True, highlight=True, context=2, facets=["area"])
    assert tuple(counting.values()) == (1, 1, 1, 1)
    ask(searcher, collection, "老公晕倒")
    assert tuple(counting.values()) == (1, 1, 1, 2)


def test_what_cannot_be_shown_is_named_and_the_hits_stay(filled, searcher, collection, monkeypatch):
    ask(searcher, collection, "规定")
    real = Elasticsearch.perform_request

    def broken(self, *args, endpoint_id=None, **kwargs):
        if endpoint_id in {"indices.analyze", "mget", "search"}:
            raise LostError("gone")
        return real(self, *args, endpoint_id=endpoint_id, **kwargs)

    monkeypatch.setattr(Elasticsearch, "perform_request", broken)
    result = ask(searcher, collection, "妻子晕倒", explain=True, highlight=True, context=1)
    assert result.degraded == ["synonyms", "matched_words", "context"]
    assert (result.hits[0].doc_id, result.hits[0].context) == ("faint", None)
    assert result.hits[0].highlights == ("丈夫昏迷的，<em>妻子</em>应当送医。",)


def test_facets_count_the_candidates_of_every_page(filled, searcher, collection):
    result = ask(searcher, collection, "规定", facets=["area", "metadata.year"], top_k=1, offset=1)
    assert result.total == 3
    assert result.facets == {
        "area": Facet((("work", 2), ("family", 1))),
        "metadata.year": Facet((("2020", 1), ("2024", 1)), missing=1),
    }
    few = ask(searcher, collection, "规定", facets=["area"], facet_size=1, filters={"year": [2020, 2024]})
    assert few.facets == {"area": Facet((("family", 1),), others=1)}


def test_an_unknown_facet_is_refused(searcher, collection, counting):
    with pytest.raises(UnknownFieldError, match="area"):
        ask(searcher, collection, "规定", facets=["aera"])
    assert counting["msearch"] == 0


def beside(hit):
    return [c.text for c in hit.context.before], [c.text for c in hit.context.after]


def test_neighbours_in_a_document(tmp_path, build, searcher, collection):
    text = "".join(f"{number}号规定的内容是{word}。\n" for number, word in enumerate("甲乙丙丁戊己庚", start=1))
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    build(tmp_path, max_chars=12)
    hit = ask(searcher, collection, "3号规定的内容是丙", context=1, top_k=1).hits[0]
    assert hit.position == 2
    assert beside(hit) == (["2号规定的内容是乙。"], ["4号规定的内容是丁。"])
    assert [c.chunk_id for c in hit.context.after] == [f"{hit.doc_id}-3"]
    first = ask(searcher, collection, "1号规定的内容是甲", context=3, top_k=1).hits[0]
    assert (first.position, beside(first)[0], len(beside(first)[1])) == (0, [], 3)
    last = ask(searcher, collection, "7号规定的内容是庚", context=2, top_k=1).hits[0]
    assert beside(last) == (["5号规定的内容是戊。", "6号规定的内容是己。"], [])


@pytest.fixture
def law(tmp_path, build):
    (tmp_path / "law.txt").write_text(LAW, encoding="utf-8")
    build(tmp_path, max_chars=50)


def test_neighbours_of_an_article_are_the_articles_beside_it(law, searcher, collection):
    hit = ask(searcher, collection, "从事甲类活动的应当登记", context=1, top_k=1).hits[0]
    assert hit.metadata["article"] == "第三条"
    assert beside(hit) == (["甲类活动应当诚实。"], ["未登记的，处以罚款。"])
    wide = ask(searcher, collection, "从事甲类活动的应当登记", context=5, top_k=1).hits[0]
    assert beside(wide) == (
        ["为了规范甲类活动，制定本法。", "甲类活动应当诚实。"],
        ["未登记的，处以罚款。", "本法自公布之日起施行。"],
    )
    first = ask(searcher, collection, "为了规范，制定本法", context=1, top_k=1).hits[0]
    assert beside(first) == ([], ["甲类活动应当诚实。"])


def test_neighbours_across_long_articles(tmp_path, build, searcher, collection):
    """Articles of several chunks: before the first chunk stand the last ones of the article before."""
    law = LAW.replace("甲类活动应当诚实。", "甲类活动应当诚实。\n" + "甲类活动应当守信并且公开透明。\n" * 4)
    (tmp_path / "law.txt").write_text(law, encoding="utf-8")
    build(tmp_path, max_chars=50)
    hit = ask(searcher, collection, "从事甲类活动的应当登记", context=2, top_k=1).hits[0]
    positions = [(c.title[-3:], c.position) for c in hit.context.before]
    assert {title for title, _ in positions} == {"第二条"}
    assert [b - a for (_, a), (_, b) in pairwise(positions)] == [1]
    article = [c for c in ask(searcher, collection, "甲类活动", top_k=50).hits if c.title.endswith("第二条")]
    assert positions[-1][1] == max(c.position for c in article) > 0


def test_neighbours_obey_the_filters_of_the_search(law, searcher, collection):
    hit = ask(searcher, collection, "登记", context=1, top_k=1, filters={"article": "第三条"}).hits[0]
    assert beside(hit) == ([], [])
    hit = ask(
        searcher, collection, "从事甲类活动的应当登记", context=1, top_k=1, filters={"article": ["第三条", "第四条"]}
    ).hits[0]
    assert beside(hit) == ([], ["未登记的，处以罚款。"])


def test_records_with_ids_of_their_own_stand_alone(filled, searcher, collection):
    assert all(beside(hit) == ([], []) for hit in ask(searcher, collection, "规定", context=5).hits)


@pytest.fixture
def many(tmp_path, build, es, collection):
    """Sixty texts, many with equal scores, in several segments."""
    for part in range(3):
        rows = [
            {"_id": f"{part}-{n}", "text": f"第{'甲乙丙丁'[n % 4]}类合同应当{'书面' if n % 3 else '口头'}订立。"}
            for n in range(20)
        ]
        (tmp_path / f"{part}.jsonl").write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8"
        )
        build(tmp_path, writer=FixedWriter())
    client, _ = es
    segments = client.indices.segments(index=f"bothways-{collection}")["indices"]
    assert sum(len(shard[0]["segments"]) for index in segments.values() for shard in index["shards"].values()) > 1


@pytest.fixture
def reranking(es, segmenter, encoder):
    return Searcher(es[0], segmenter, lambda: encoder, embedding_model="fake/hash", cross_encoder=OverlapCrossEncoder)


def test_pages_put_together_are_the_one_long_page(many, reranking, collection):
    for strategy in ("bm25", "dense", "questions", "hybrid", "hybrid_rerank", "dedup"):
        wanted = {"strategy": strategy, "leg_k": 20, "rerank_top_n": 20, "deduplicate": False}
        long = ask(reranking, collection, "书面合同怎么订立", top_k=20, **wanted)
        for size in (1, 7, 20):
            pages, page = [], None
            while page is None or page.next_offset is not None:
                offset = page.next_offset if page else 0
                page = ask(reranking, collection, "书面合同怎么订立", top_k=size, offset=offset, **wanted)
                pages += [hit.chunk_id for hit in page.hits]
            assert len(set(pages)) == len(pages) == page.total == long.total
            assert [hit.chunk_id for hit in long.hits] == pages[:20]
        assert long.total == 20 if strategy in ("bm25", "dense", "questions") else long.total > 20
        beyond = ask(reranking, collection, "书面合同怎么订立", offset=long.total, **wanted)
        assert (list(beyond.hits), beyond.next_offset, beyond.total) == ([], None, long.total)


def test_the_page_after_the_reranked_ones_goes_on_in_the_order_before(many, reranking, collection):
    wanted = {"leg_k": 20, "top_k": 5, "rerank_top_n": 5, "offset": 5}
    plain = ask(reranking, collection, "书面合同", strategy="hybrid", **wanted)
    reranked = ask(reranking, collection, "书面合同", strategy="hybrid_rerank", **wanted)
    assert [hit.chunk_id for hit in reranked.hits] == [hit.chunk_id for hit in plain.hits]
    assert {hit.cross_encoder for hit in reranked.hits} == {None}
