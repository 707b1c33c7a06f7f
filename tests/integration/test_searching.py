"""The read path against a real Elasticsearch."""

from __future__ import annotations

import json

import pytest

from bothways.core.errors import (
    CollectionNotFoundError,
    ElasticsearchError,
    IncompatibleCollectionError,
    LLMError,
    LLMUnavailableError,
    MissingExtraError,
    ModelError,
    QueryError,
    SettingsError,
    UnknownFieldError,
)
from bothways.search.options import STRATEGIES, SearchOptions
from bothways.search.pipeline import Searcher
from bothways.search.retrieve.msearch import retrieve
from tests.fakes import FixedRewriter, FixedWriter, HashEncoder, OverlapCrossEncoder

pytestmark = pytest.mark.elasticsearch

ROWS = [
    {
        "_id": "leave",
        "title": "请假",
        "text": "员工请假应当提前三天提交申请。",
        "metadata": {"area": "hr", "year": 2024},
    },
    {"_id": "pay", "title": "工资", "text": "工资于每月十日发放。", "metadata": {"area": "hr", "year": 2023}},
    {"_id": "refund", "title": "退货", "text": "签收后七天内可以无理由退货。", "metadata": {"area": "shop"}},
    {"_id": "pump", "title": "E07 故障", "text": "水泵过热时显示 E07，请断电冷却。", "metadata": {"area": "shop"}},
]


@pytest.fixture
def filled(tmp_path, build):
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), "utf-8")
    build(tmp_path, writer=FixedWriter())


def ask(searcher, collection, text, **options):
    return searcher.search(text, collection, SearchOptions(**options))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_finds_it(filled, searcher, collection, strategy):
    result = ask(searcher, collection, "提前几天申请请假", strategy=strategy)
    assert result.hits[0].doc_id == "leave"
    assert result.hits[0].source == "c.jsonl"
    assert result.hits[0].metadata == {"area": "hr", "year": "2024"}
    assert result.index == f"bothways-{collection}-v1"
    assert result.timings_ms["total"] >= result.timings_ms["retrieve"] > 0
    left_out = {"hybrid_rerank": ["rerank"], "hybrid_q2d_rerank": ["query2doc", "rerank"]}
    assert list(result.degraded) == left_out.get(strategy, ["query2doc"] if "q2d" in strategy else [])


def test_filters_act_inside_every_leg(filled, searcher, collection):
    for strategy in ("bm25", "dense", "questions", "hybrid"):
        hits = ask(searcher, collection, "请假 工资 退货", strategy=strategy, filters={"area": "shop"}).hits
        assert {hit.doc_id for hit in hits} <= {"refund", "pump"}
        assert hits
    both = ask(searcher, collection, "请假", strategy="dense", filters={"area": ["shop", "hr"], "year": 2023}).hits
    assert [hit.doc_id for hit in both] == ["pay"]


def test_a_filter_that_nothing_matches_finds_nothing(filled, searcher, collection):
    assert list(ask(searcher, collection, "请假", filters={"area": "moon"}).hits) == []


def test_an_unknown_field_is_refused(filled, searcher, collection):
    with pytest.raises(UnknownFieldError, match="area"):
        ask(searcher, collection, "请假", filters={"aera": "hr"})


def test_explain_tells_each_leg_and_the_question_that_matched(filled, searcher, collection):
    hit = ask(searcher, collection, "问 员工请假应当", strategy="hybrid", explain=True).hits[0]
    assert set(hit.legs) == {"bm25", "text_sem", "questions"}
    assert hit.legs["questions"].matched == "问 员工请假应当"
    assert hit.convex == hit.score == pytest.approx(1.0)  # first of both rankings
    assert hit.rrf == pytest.approx(1 / 61 + 1 / 61)
    by_rank = ask(searcher, collection, "问 员工请假应当", strategy="hybrid", fusion="rrf").hits[0]
    assert (by_rank.score, by_rank.convex) == (by_rank.rrf, None)


def test_highlight(filled, searcher, collection):
    hit = ask(searcher, collection, "工资发放", strategy="hybrid", highlight=True).hits[0]
    assert hit.highlights == ("<em>工资</em>于每月十日<em>发放</em>。",)


def test_min_score_and_top_k(filled, searcher, collection):
    hits = ask(searcher, collection, "请假", strategy="dense", top_k=2).hits
    assert len(hits) == 2
    assert ask(searcher, collection, "请假", strategy="dense", min_score=hits[0].score + 0.001).hits == []


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\x00"])
def test_an_empty_query_is_refused(filled, searcher, collection, text):
    with pytest.raises(QueryError, match="empty"):
        ask(searcher, collection, text)


def test_a_far_too_long_query_is_refused(filled, searcher, collection):
    with pytest.raises(QueryError, match="at most"):
        ask(searcher, collection, "长" * 10_001)


@pytest.mark.parametrize(
    "text",
    ["假", "😀", "？？？", "的", "E07", 'a" OR *:* {"x"}', "請假要提前多久", "refund 退货 policy", "请假" * 5000],
)
def test_odd_queries_are_answered(filled, searcher, collection, text):
    result = ask(searcher, collection, text)
    assert result.hits
    assert "text_sem" not in result.degraded


def test_unknown_collection(searcher):
    with pytest.raises(CollectionNotFoundError, match="bothways index"):
        ask(searcher, "no-such-thing", "请假")


def test_a_deleted_collection_is_noticed(filled, searcher, collection, es):
    ask(searcher, collection, "请假")
    es[0].indices.delete(index=f"bothways-{collection}-v1")
    with pytest.raises(CollectionNotFoundError):
        ask(searcher, collection, "请假")


def test_another_embedding_model_is_refused(filled, es, segmenter, collection):
    other = Searcher(es[0], segmenter, HashEncoder, embedding_model="other")
    with pytest.raises(IncompatibleCollectionError, match="fake/hash"):
        ask(other, collection, "请假")


def test_a_broken_encoder_leaves_the_words(filled, es, segmenter, collection):
    def broken():
        raise ModelError("the weights are gone")

    searcher = Searcher(es[0], segmenter, broken, embedding_model="fake/hash")
    result = ask(searcher, collection, "请假", strategy="hybrid")
    assert result.hits[0].doc_id == "leave"
    assert list(result.degraded) == ["text_sem", "questions"]
    with pytest.raises(ModelError):
        ask(searcher, collection, "请假", strategy="dense")


def test_a_failing_leg_is_named_and_the_others_answer(filled, es, segmenter, collection):
    """Vectors of another length than the index's: both dense legs fail on the server."""
    searcher = Searcher(es[0], segmenter, lambda: HashEncoder(dimension=8), embedding_model="fake/hash")
    result = ask(searcher, collection, "请假", strategy="hybrid")
    assert result.hits[0].doc_id == "leave"
    assert list(result.degraded) == ["text_sem", "questions"]
    with pytest.raises(ElasticsearchError, match="dimension"):
        ask(searcher, collection, "请假", strategy="dense")


def test_reranking(filled, es, segmenter, encoder, collection):
    searcher = Searcher(
        es[0], segmenter, lambda: encoder, embedding_model="fake/hash", cross_encoder=OverlapCrossEncoder
    )
    result = ask(searcher, collection, "水泵过热")
    assert result.hits[0].doc_id == "pump"
    assert result.hits[0].cross_encoder == 4.0
    assert list(result.degraded) == []


def test_a_reranker_that_cannot_be_loaded_degrades(filled, es, segmenter, encoder, collection):
    def broken():
        raise ModelError("no such model")

    searcher = Searcher(es[0], segmenter, lambda: encoder, embedding_model="fake/hash", cross_encoder=broken)
    reference = ask(searcher, collection, "请假", strategy="hybrid")
    result = ask(searcher, collection, "请假", strategy="hybrid_rerank")
    assert list(result.degraded) == ["rerank"]
    assert [h.chunk_id for h in result.hits] == [h.chunk_id for h in reference.hits]


REFUND = "退货\n签收后七天内可以无理由退货。"
"""A pseudo-document that is word for word what was embedded for one chunk."""

PUMP = "水泵过热时显示 E07"


@pytest.fixture
def rewriting(es, segmenter, encoder):
    """Make a searcher with a rewriter (or what makes one)."""

    def make(rewriter, **parts):
        return Searcher(
            es[0], segmenter, lambda: encoder, embedding_model="fake/hash", rewriter=lambda: rewriter, **parts
        )

    return make


def test_a_pseudo_document_speaks_to_the_dense_legs_alone(filled, rewriting, collection):
    rewriter = FixedRewriter(REFUND)
    searcher = rewriting(rewriter)
    plain = ask(searcher, collection, PUMP, strategy="hybrid")
    assert (rewriter.deadlines, plain.rewritten, plain.timings_ms["rewrite"]) == ([], None, 0)
    result = ask(searcher, collection, PUMP, strategy="hybrid_q2d", weight_pseudo_doc=1, rewrite_deadline_ms=250)
    assert rewriter.deadlines == [0.25]
    assert (result.query, result.rewritten, list(result.degraded)) == (PUMP, REFUND, [])
    assert result.timings_ms["rewrite"] > 0
    assert result.legs["bm25"] == plain.legs["bm25"]
    assert {leg: hits[0].doc_id for leg, hits in plain.legs.items()} == dict.fromkeys(plain.legs, "pump")
    assert {leg: hits[0].doc_id for leg, hits in result.legs.items()} == {
        "bm25": "pump", "text_sem": "refund", "questions": "refund",
    }  # fmt: skip
    assert result.legs["text_sem"][0].score == pytest.approx(1, abs=0.02)


def test_the_dense_leg_asks_with_question_and_pseudo_document(filled, rewriting, collection):
    searcher = rewriting(FixedRewriter(REFUND))
    dense = ask(searcher, collection, PUMP, strategy="dense")
    by_weight = {
        weight: ask(searcher, collection, PUMP, strategy="dense_q2d", weight_pseudo_doc=weight)
        for weight in (0, 0.5, 1)
    }
    assert [hit.chunk_id for hit in by_weight[0].hits] == [hit.chunk_id for hit in dense.hits]
    assert [hit.score for hit in by_weight[0].hits] == pytest.approx([hit.score for hit in dense.hits])
    assert set(by_weight[0.5].legs) == {"text_sem"}
    assert {hit.doc_id for hit in by_weight[0.5].hits[:2]} == {"pump", "refund"}
    assert by_weight[1].hits[0].doc_id == "refund"


@pytest.mark.parametrize(
    "error", [LLMUnavailableError("too late"), LLMError("refused"), ModelError("gone"), MissingExtraError("torch")]
)
def test_without_a_pseudo_document_the_question_is_searched_for(filled, rewriting, collection, error):
    searcher = rewriting(FixedRewriter(error))
    result = ask(searcher, collection, "提前几天申请请假", strategy="hybrid_q2d")
    reference = ask(searcher, collection, "提前几天申请请假", strategy="hybrid")
    assert (list(result.degraded), result.rewritten) == (["query2doc"], None)
    assert result.hits == reference.hits


def test_a_rewriter_that_cannot_be_made_degrades(filled, es, segmenter, encoder, collection):
    def broken():
        raise SettingsError("the cache cannot be used")

    searcher = Searcher(es[0], segmenter, lambda: encoder, embedding_model="fake/hash", rewriter=broken)
    assert ask(searcher, collection, "请假", strategy="hybrid").degraded == []
    assert ask(searcher, collection, "请假", strategy="dense_q2d").degraded == ["query2doc"]


def test_warming_up_makes_the_rewriter_so_that_no_search_pays_for_it(es, segmenter, encoder):
    made = []

    def make():
        made.append(1)
        if len(made) > 1:
            raise SettingsError("the cache cannot be used")
        return FixedRewriter(REFUND)

    searcher = Searcher(es[0], segmenter, lambda: encoder, embedding_model="fake/hash", rewriter=make)
    searcher.warm_up()
    assert made == [1]
    Searcher(es[0], segmenter, lambda: encoder, embedding_model="fake/hash", rewriter=make).warm_up()
    assert made == [1, 1]


def test_the_users_question_is_what_reranks(filled, rewriting, collection):
    searcher = rewriting(FixedRewriter(REFUND), cross_encoder=OverlapCrossEncoder)
    result = ask(searcher, collection, "水泵过热", strategy="hybrid_q2d_rerank", weight_pseudo_doc=1)
    assert (result.hits[0].doc_id, result.hits[0].cross_encoder) == ("pump", 4.0)
    assert list(result.degraded) == []


@pytest.fixture
def many(tmp_path, build):
    """Fifteen chunks more that say nearly the same, so that there is a tenth hit."""
    rows = [{"_id": f"d{c}", "title": "规定", "text": f"本单位的规定{c}。"} for c in "甲乙丙丁戊己庚辛壬癸子丑寅卯辰"]
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in [*ROWS, *rows]]
    (tmp_path / "c.jsonl").write_text("".join(lines), "utf-8")
    build(tmp_path)


def test_auto_rewrites_what_the_first_pass_answers_weakly(many, rewriting, collection):
    rewriter = FixedRewriter(REFUND)
    searcher = rewriting(rewriter)
    strong = ask(searcher, collection, "水泵过热时显示 E07，请断电冷却。", strategy="hybrid", rewrite="auto")
    assert (rewriter.deadlines, strong.rewritten, strong.hits[0].doc_id) == ([], None, "pump")
    plain = ask(searcher, collection, "本单位的规定", strategy="hybrid")
    weak = ask(searcher, collection, "本单位的规定", strategy="hybrid", rewrite="auto", weight_pseudo_doc=1)
    assert len(rewriter.deadlines) == 1
    assert (weak.rewritten, list(weak.degraded)) == (REFUND, [])
    assert weak.legs["bm25"] == plain.legs["bm25"]
    assert weak.legs["text_sem"][0].doc_id == "refund" != plain.legs["text_sem"][0].doc_id


def test_auto_without_a_pseudo_document_is_the_first_pass(many, rewriting, collection):
    searcher = rewriting(FixedRewriter(LLMUnavailableError("too late")))
    weak = ask(searcher, collection, "本单位的规定", strategy="hybrid", rewrite="auto")
    assert (list(weak.degraded), weak.rewritten) == (["query2doc"], None)
    assert weak.hits == ask(searcher, collection, "本单位的规定", strategy="hybrid").hits


def test_auto_survives_an_encoder_that_fails_on_the_way(many, es, segmenter, collection):
    class OnceOnly(HashEncoder):
        def encode_documents(self, texts):
            if texts == [REFUND]:
                raise ModelError("the weights are gone")
            return super().encode_documents(texts)

    searcher = Searcher(es[0], segmenter, OnceOnly, embedding_model="fake/hash", rewriter=lambda: FixedRewriter(REFUND))
    weak = ask(searcher, collection, "本单位的规定", strategy="hybrid", rewrite="auto")
    assert (list(weak.degraded), weak.rewritten) == (["query2doc"], None)
    assert weak.hits


def test_rewriting_on_request_is_the_q2d_strategy(filled, rewriting, collection):
    searcher = rewriting(FixedRewriter(REFUND))
    asked = ask(searcher, collection, PUMP, strategy="hybrid", rewrite="query2doc")
    assert asked.hits == ask(searcher, collection, PUMP, strategy="hybrid_q2d").hits
    assert asked.rewritten == REFUND
    assert ask(searcher, collection, PUMP, strategy="bm25", rewrite="query2doc").rewritten is None


def test_equal_texts_are_shown_once(tmp_path, build, searcher, collection):
    text = "员工请假应当提前三天提交申请，经部门主管批准后生效，并在三日内补交证明材料和说明，逾期不予受理。"
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "c.txt").write_text(text.replace("三天", "五天"), encoding="utf-8")
    build(tmp_path)
    hits = ask(searcher, collection, "请假提前三天", strategy="hybrid").hits
    assert len(hits) == 2
    assert {h.source: [c.source for c in h.duplicates] for h in hits} in (
        {"a.txt": ["b.txt"], "c.txt": []}, {"b.txt": ["a.txt"], "c.txt": []},
    )  # fmt: skip
    assert len(ask(searcher, collection, "请假提前三天", strategy="hybrid", deduplicate=False).hits) == 3


@pytest.mark.parametrize("oversample", [0, 1, 2, 10])
def test_rescoring_of_quantised_vectors(filled, searcher, collection, oversample):
    hits = ask(searcher, collection, "请假", strategy="hybrid", oversample=oversample, leg_k=100, num_candidates=100)
    assert {hit.doc_id for hit in hits.hits} == {row["_id"] for row in ROWS}
    assert list(hits.degraded) == []


def test_no_collection_no_call_of_the_language_model(rewriting):
    rewriter = FixedRewriter(REFUND)
    with pytest.raises(CollectionNotFoundError):
        ask(rewriting(rewriter), "no-such-thing", "请假", strategy="hybrid_q2d")
    assert rewriter.deadlines == []


def test_synonyms_are_found_by_words(tmp_path, build, searcher, collection):
    """`老公` stands in the synonyms file beside `丈夫`; the text knows only the latter."""
    (tmp_path / "a.txt").write_text("丈夫应当扶养妻子。", encoding="utf-8")
    build(tmp_path)
    assert [h.source for h in ask(searcher, collection, "老公", strategy="bm25").hits] == ["a.txt"]


def test_no_leg_answers(es):
    with pytest.raises(ElasticsearchError, match="failed while searching"):
        retrieve(es[0], {"bm25": {"query": {"no_such_query": {}}}}, index="bothways-*")


def test_options_are_values():
    assert SearchOptions().replace(strategy="bm25").strategy == "bm25"
