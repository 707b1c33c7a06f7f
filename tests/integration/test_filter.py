"""Questions that miss their own chunk are dropped from a real index, and all that was made of them goes with them."""

from __future__ import annotations

import json

import pytest
from elasticsearch.helpers import scan

from bothways.core.errors import ElasticsearchError, LLMUnavailableError, SettingsError
from bothways.core.settings import load_settings
from bothways.indexer.build import build_filter
from bothways.indexer.doc2query.expand import FAILED
from bothways.indexer.doc2query.filter import Answerable, RoundTrip, filter_questions
from bothways.search.options import SearchOptions
from tests.fakes import FixedWriter, OverlapCrossEncoder

pytestmark = pytest.mark.elasticsearch

TEXTS = {
    "leave": "员工请假应当提前三天提交申请。",
    "travel": "差旅费用凭发票按月报销。",
    "office": "会议室须预约使用完毕关灯。",
}
ASTRAY = "会议室关灯"
"""A question of "leave" that its own text does not answer: by its characters it is nearest to "office"."""


class AstrayWriter(FixedWriter):
    """Gives each chunk a part of its own text to ask for, and "leave" another one that leads astray."""

    def write(self, chunk):
        super().write(chunk)
        own = chunk.text[:8]
        return (own, ASTRAY) if "请假" in chunk.text else (own,)


@pytest.fixture
def corpus(tmp_path):
    for name, text in TEXTS.items():
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def of_chunk(stored):
    """Questions and generation of the chunk that holds a word."""

    def read(word):
        (source,) = (chunk for chunk in stored().values() if word in chunk["text"])
        assert source["question_count"] == len(source["questions"])
        return [question["text"] for question in source["questions"]], source["generation"]

    return read


def found(searcher, collection, text, strategy):
    hits = searcher.search(text, collection, SearchOptions(strategy=strategy)).hits
    return [name for hit in hits for name, body in TEXTS.items() if hit.text == body]


def vectors(es, collection):
    query = {"query": {"match_all": {}}, "_source": ["text_sem", "questions.text", "questions.text_sem"]}
    return {
        hit["_id"]: (
            hit["_source"]["text_sem"],
            {q["text"]: q["text_sem"] for q in hit["_source"].get("questions", [])},
        )
        for hit in scan(es[0], index=f"bothways-{collection}", query=query)
    }


def test_a_question_that_misses_its_chunk_goes_with_all_that_was_made_of_it(
    corpus, build, of_chunk, searcher, collection, es
):
    build(corpus, writer=AstrayWriter())
    before = vectors(es, collection)
    assert of_chunk("请假") == (["员工请假应当提前", ASTRAY], "fake/1")
    assert "leave" in found(searcher, collection, ASTRAY, "bm25")
    assert found(searcher, collection, ASTRAY, "questions")[0] == "leave"

    report = build(corpus, writer=AstrayWriter(), question_filter=RoundTrip(1))
    assert (report.filter, report.filter_questions, report.filter_dropped) == ("round-trip/1", 4, 1)
    assert (report.unchanged, report.indexed, report.encoded, report.failures) == (3, 0, 0, [])
    assert of_chunk("请假") == (["员工请假应当提前"], "fake/1|round-trip/1")
    assert "leave" not in found(searcher, collection, ASTRAY, "bm25")
    assert found(searcher, collection, ASTRAY, "questions")[0] == "office"
    assert found(searcher, collection, TEXTS["leave"], "dense")[0] == "leave"
    assert found(searcher, collection, TEXTS["leave"], "questions")[0] == "leave"

    after = vectors(es, collection)
    for chunk_id, (vector, questions) in before.items():
        assert after[chunk_id][0] == vector
        assert after[chunk_id][1] == {text: v for text, v in questions.items() if text != ASTRAY}


def test_what_is_looked_at_is_not_looked_at_again_and_new_chunks_are(corpus, build, encoder):
    options = {"question_filter": RoundTrip(1)}
    assert build(corpus, writer=AstrayWriter(), **options).filter_questions == 4
    encoder.batches.clear()
    writer = AstrayWriter()
    again = build(corpus, writer=writer, **options)
    assert (again.unchanged, again.filter_questions, writer.calls, encoder.batches) == (3, 0, 0, [])
    (corpus / "pay.txt").write_text("工资每月十日发放。", encoding="utf-8")
    third = build(corpus, writer=AstrayWriter(), **options)
    assert (third.new, third.unchanged, third.filter_questions, third.filter_dropped) == (1, 3, 1, 0)


def test_k_is_how_many_chunks_may_be_nearer(corpus, build, of_chunk):
    """Of three chunks, the first three hold every chunk: nothing is dropped."""
    report = build(corpus, writer=AstrayWriter(), question_filter=RoundTrip(3))
    assert (report.filter_questions, report.filter_dropped) == (4, 0)
    assert of_chunk("请假") == (["员工请假应当提前", ASTRAY], "fake/1|round-trip/3")


def test_another_threshold_or_none_brings_the_questions_back(corpus, build, of_chunk):
    build(corpus, writer=AstrayWriter(), question_filter=RoundTrip(1))
    report = build(corpus, writer=AstrayWriter())
    assert (report.changed, report.filter) == (3, "")
    assert of_chunk("请假") == (["员工请假应当提前", ASTRAY], "fake/1")


def test_a_rebuild_is_filtered_before_it_is_used(corpus, build, of_chunk):
    build(corpus, writer=AstrayWriter())
    report = build(corpus, writer=AstrayWriter(), question_filter=RoundTrip(1), recreate=True)
    assert (report.filter_dropped, report.held) == (1, "")
    assert report.index.endswith("-v2")
    assert of_chunk("请假")[0] == ["员工请假应当提前"]


def test_a_pass_that_is_cut_off_goes_on_where_it_stopped(tmp_path, build, collection, es, monkeypatch):
    monkeypatch.setattr("bothways.indexer.doc2query.filter.WINDOW", 2)
    lines = [json.dumps({"_id": f"r{i}", "text": f"第{i}条：{chr(0x4E00 + 40 * i)}的规定。"}) for i in range(7)]
    (tmp_path / "c.jsonl").write_text("\n".join(lines), encoding="utf-8")
    build(tmp_path, writer=FixedWriter())
    index = f"bothways-{collection}-v1"
    windows = []

    class Dies(RoundTrip):
        def keep(self, client, index, chunks):
            windows.append(len(chunks))
            if len(windows) == 3:
                raise KeyboardInterrupt
            return super().keep(client, index, chunks)

    with pytest.raises(KeyboardInterrupt):
        filter_questions(es[0], index, Dies(1), generation="fake/1", packed=True)
    es[0].indices.refresh(index=index)
    left = es[0].count(index=index, query={"term": {"generation": "fake/1"}})["count"]
    assert left in {3, 5, 7}  # whole windows are done, or not yet sent
    report = filter_questions(es[0], index, RoundTrip(1), generation="fake/1", packed=True)
    assert (report.chunks, report.questions, report.failures) == (left, 2 * left, [])
    assert es[0].count(index=index, query={"term": {"generation": "fake/1|round-trip/1"}})["count"] == 7


def test_a_chunk_that_somebody_changes_meanwhile_is_theirs(corpus, build, of_chunk, collection, es):
    build(corpus, writer=AstrayWriter())

    class Meanwhile(RoundTrip):
        def keep(self, client, index, chunks):
            changed = [chunk["_id"] for chunk in chunks if "请假" in chunk["_source"]["text"]]
            client.update(index=index, id=changed[0], doc={"origin": "elsewhere"}, refresh=True)
            return super().keep(client, index, chunks)

    report = filter_questions(es[0], f"bothways-{collection}-v1", Meanwhile(1), generation="fake/1", packed=True)
    assert [failure.stage for failure in report.failures] == ["bulk"]
    assert "version conflict" in report.failures[0].reason
    assert of_chunk("请假") == (["员工请假应当提前", ASTRAY], "fake/1")


def test_a_search_that_fails_drops_nothing(corpus, build, of_chunk, collection, es):
    build(corpus, writer=AstrayWriter())

    class Wrong(RoundTrip):
        def _body(self, question):
            return super()._body({"text_sem": [1.0, 2.0]})  # the field has 64 dimensions

    with pytest.raises(ElasticsearchError, match=r"filtering questions: .*dimension"):
        filter_questions(es[0], f"bothways-{collection}-v1", Wrong(1), generation="fake/1", packed=True)
    assert of_chunk("请假") == (["员工请假应当提前", ASTRAY], "fake/1")


def test_by_a_cross_encoder(corpus, build, of_chunk):
    """The fake scores by shared characters: the text's own 8 count 8, those of the astray question none."""
    by = Answerable("fake/overlap", OverlapCrossEncoder, 2.0)
    report = build(corpus, writer=AstrayWriter(), question_filter=by)
    assert (report.filter, report.filter_dropped) == ("cross-encoder/fake/overlap/2", 1)
    assert of_chunk("请假") == (["员工请假应当提前"], "fake/1|cross-encoder/fake/overlap/2")


def test_a_chunk_may_lose_all_questions_and_is_done_all_the_same(corpus, build, of_chunk, searcher, collection):
    by = Answerable("fake/overlap", OverlapCrossEncoder, 100.0)
    assert build(corpus, writer=AstrayWriter(), question_filter=by).filter_dropped == 4
    assert of_chunk("请假")[0] == []
    assert found(searcher, collection, TEXTS["leave"], "hybrid")[0] == "leave"
    again = build(corpus, writer=AstrayWriter(), question_filter=by)
    assert (again.unchanged, again.filter_questions) == (3, 0)


def test_refused_and_failed_chunks_have_nothing_to_filter(corpus, build, of_chunk):
    options = {"question_filter": RoundTrip(1)}
    refused = build(corpus, writer=AstrayWriter(refuse=["差旅"]), **options)
    assert (refused.filter_questions, of_chunk("差旅")) == (3, ([], "refused:fake/1"))
    failed = build(
        corpus, writer=AstrayWriter(refuse=["差旅"], error=LLMUnavailableError), retry_failed=True, **options
    )
    assert (failed.changed, of_chunk("差旅")) == (1, ([], FAILED))
    mended = build(corpus, writer=AstrayWriter(), **options)
    assert (mended.changed, mended.filter_questions) == (1, 1)
    assert of_chunk("差旅") == ([TEXTS["travel"][:8]], "fake/1|round-trip/1")


def test_without_questions_wanted_none_are_looked_at(corpus, build, of_chunk):
    build(corpus, writer=AstrayWriter())
    report = build(corpus, question_filter=RoundTrip(1))
    assert (report.filter, report.unchanged) == ("", 3)
    assert of_chunk("请假")[1] == "fake/1"


def test_settings_choose_the_filter():
    assert build_filter(load_settings()) is None
    assert build_filter(load_settings(filter_questions="round-trip")).name == "round-trip/10"
    assert build_filter(load_settings(filter_questions="round-trip", filter_top_k=3)).name == "round-trip/3"
    chosen = load_settings(filter_questions="cross-encoder", reranker_model="never/loaded", filter_min_score=-1.5)
    assert build_filter(chosen).name == "cross-encoder/never/loaded/-1.5"
    with pytest.raises(SettingsError, match="BOTHWAYS_RERANKER_MODEL"):
        build_filter(load_settings(filter_questions="cross-encoder"))
    with pytest.raises(SettingsError, match="BOTHWAYS_FILTER_QUESTIONS"):
        build_filter(load_settings(filter_questions="magic"))
