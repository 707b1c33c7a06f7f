"""The write path against a real Elasticsearch."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager

import pytest

from bothways.core.collections.collection import list_collections, open_collection
from bothways.core.elastic.client import Server
from bothways.core.errors import (
    ElasticsearchError,
    ElasticsearchUnavailableError,
    IncompatibleCollectionError,
    LLMUnavailableError,
    UsageError,
)
from bothways.indexer.bulk import bulk
from bothways.indexer.read.child.read import chunks_of
from bothways.indexer.versions.versions import chunk_mapping, create_version, versions
from bothways.search.options import SearchOptions
from tests.fakes import DyingWriter, FixedWriter
from tests.full_disk import full_disk

pytestmark = pytest.mark.elasticsearch

LEAVE = "员工请假应当提前三天提交申请。"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.txt").write_text(LEAVE, encoding="utf-8")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.md").write_text("# 报销\n\n差旅费用凭发票报销。\n", encoding="utf-8")
    (tmp_path / "c.jsonl").write_text(
        "".join(
            json.dumps({"_id": f"r{i}", "title": f"题{i}", "text": f"第{i}条记录的内容。"}) + "\n" for i in range(5)
        ),
        encoding="utf-8",
    )
    return tmp_path


def test_everything_is_indexed_once(folder, build, stored, collection, es):
    report = build(folder, writer=FixedWriter())
    assert (report.documents, report.chunks, report.indexed, report.failures) == (7, 7, 7, [])
    chunks = stored()
    assert len(chunks) == 7
    record = chunks["r3-0"]
    assert record["doc_id"] == "r3"
    assert record["source"] == "c.jsonl"
    assert [q["tag"] for q in record["questions"]] == ["syn", "syn"]
    assert {chunk["question_count"] for chunk in chunks.values()} == {2}
    assert record["generation"] == record["questions"][0]["generation"] == "fake/1"
    opened = open_collection(es[0], collection)
    assert (opened.embedding_model, opened.dimension, opened.analyzer) == ("fake/hash", 64, "jieba-cut")


def test_a_second_run_does_nothing(folder, build, encoder):
    build(folder, writer=FixedWriter())
    encoder.batches.clear()
    writer = FixedWriter()
    report = build(folder, writer=writer)
    assert (report.unchanged, report.indexed, report.removed) == (7, 0, 0)
    assert writer.calls == 0
    assert encoder.batches == []


def test_changed_new_and_deleted_files(folder, build, stored):
    build(folder)
    (folder / "a.txt").write_text("员工请假应当提前五天提交申请。", encoding="utf-8")
    (folder / "sub" / "b.md").unlink()
    (folder / "new.txt").write_text("新的一份文件。", encoding="utf-8")
    report = build(folder)
    assert (report.new, report.changed, report.unchanged, report.removed) == (1, 1, 5, 1)
    texts = {chunk["text"] for chunk in stored().values()}
    assert "员工请假应当提前五天提交申请。" in texts
    assert not any("差旅" in text or "三天" in text for text in texts)


def test_another_chunker_indexes_what_it_cuts_otherwise_and_removes_what_is_gone(tmp_path, build, stored):
    """Three paragraphs of 90, 270 and 60 characters: two chunks of 211 by sentences, three by sections."""
    paragraphs = [("报" * 29 + "。") * number for number in (3, 9, 2)]
    (tmp_path / "long.txt").write_text("\n\n".join(paragraphs), encoding="utf-8")
    (tmp_path / "short.txt").write_text(LEAVE, encoding="utf-8")
    assert build(tmp_path).new == 3
    report = build(tmp_path, chunker="section")
    assert (report.new, report.changed, report.unchanged, report.removed) == (1, 2, 1, 0)
    assert {chunk["text"] for chunk in stored().values()} == {*paragraphs, LEAVE}
    report = build(tmp_path)
    assert (report.new, report.changed, report.unchanged, report.removed) == (0, 2, 1, 1)
    assert sorted(len(chunk["text"]) for chunk in stored().values()) == [len(LEAVE), 211, 211]


def test_semantic_chunks_are_cut_by_the_collections_own_encoder(tmp_path, build, stored, encoder):
    """Two topics without a paragraph between them; the encoder of this test hears only which characters occur."""
    topics = ["员工请假应当提前三天申请。" * 12, "差旅费凭发票报销两百元整。" * 12]
    (tmp_path / "long.txt").write_text("".join(topics), encoding="utf-8")
    assert build(tmp_path, chunker="semantic").chunks == 2
    assert encoder.batches == [24, 2]
    assert [chunk["text"] for _, chunk in sorted(stored().items())] == topics


def test_a_file_that_cannot_be_read_today_keeps_its_chunks(folder, build, stored):
    build(folder)
    (folder / "a.txt").write_bytes(b"\x00\x01\x02binary")
    report = build(folder)
    assert [failure.item for failure in report.failures] == ["a.txt"]
    assert report.removed == 0
    assert any("三天" in chunk["text"] for chunk in stored().values())


def test_a_second_folder_adds_and_does_not_remove(tmp_path, build, stored):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.txt").write_text(f"文件夹 {name} 的内容。", encoding="utf-8")
        assert build(tmp_path / name).removed == 0
    assert len(stored()) == 2


def test_a_single_file_of_a_folder_leaves_the_others(folder, build, stored):
    build(folder)
    assert build(folder / "a.txt").unchanged == 1
    assert len(stored()) == 7
    (folder / "a.txt").unlink()
    assert build(folder).removed == 1


def test_a_moved_folder_is_recognised(folder, tmp_path_factory, build, encoder, stored, searcher, collection):
    build(folder, writer=FixedWriter())
    encoder.batches.clear()
    moved = folder.rename(tmp_path_factory.mktemp("elsewhere") / "docs")
    assert build(moved, writer=FixedWriter()).unchanged == 7
    assert encoder.batches == []
    for strategy in ("bm25", "dense", "questions"):
        hits = searcher.search(LEAVE, collection, SearchOptions(strategy=strategy)).hits
        assert hits[0].text == LEAVE, f"{strategy} lost its index by the move"
    (moved / "a.txt").unlink()
    assert build(moved).removed == 1
    assert len(stored()) == 6


def test_questions_are_added_later_and_kept_without_a_model(folder, build, stored):
    build(folder)
    assert all(chunk["questions"] == [] for chunk in stored().values())
    assert build(folder, writer=FixedWriter()).changed == 7
    assert build(folder).unchanged == 7
    assert all(len(chunk["questions"]) == 2 for chunk in stored().values())


def test_an_outage_leaves_chunks_without_questions_and_the_next_run_asks_again(folder, build, stored):
    report = build(folder, writer=FixedWriter(refuse=["请假"], error=LLMUnavailableError))
    assert [failure.stage for failure in report.failures] == ["expand"]
    assert not report.succeeded
    assert [chunk["text"] for chunk in stored().values() if chunk["generation"] == "failed"] == [LEAVE]
    again = build(folder, writer=FixedWriter())
    assert (again.changed, again.unchanged, again.succeeded) == (1, 6, True)
    assert all(chunk["generation"] == "fake/1" for chunk in stored().values())


def test_a_refused_chunk_is_asked_for_again_only_on_request(folder, build, stored):
    report = build(folder, writer=FixedWriter(refuse=["请假"]))
    assert [failure.stage for failure in report.failures] == ["refuse"]
    assert (report.refused, report.indexed, report.succeeded) == (1, 7, True)
    writer = FixedWriter()
    assert build(folder, writer=writer).unchanged == 7
    assert writer.calls == 0
    assert build(folder, writer=writer, retry_failed=True).changed == 1
    assert writer.calls == 1
    assert all(chunk["generation"] == "fake/1" for chunk in stored().values())


def test_a_model_that_refuses_everything_is_set_up_wrong(folder, build):
    report = build(folder, writer=FixedWriter(refuse=[""]))
    assert (report.refused, report.succeeded) == (7, False)


def test_two_records_of_one_id_are_named(tmp_path, build, stored):
    rows = [{"_id": "x", "text": "第一份内容。"}, {"_id": "x", "text": "第二份内容。"}]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
    report = build(tmp_path)
    assert "second record has the id 'x'" in report.failures[0].reason
    assert [chunk["text"] for chunk in stored().values()] == ["第一份内容。"]


def test_a_second_record_of_one_id_leaves_nothing_behind_even_when_it_is_longer(tmp_path, build, stored):
    rows = [{"_id": "x", "text": "第一份内容。"}, {"_id": "x", "text": "第二份很长的内容。" * 80}]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    build(tmp_path)
    assert [chunk["text"] for chunk in stored().values()] == ["第一份内容。"]


def test_a_document_of_another_folder_with_the_same_path_is_replaced_as_a_whole(tmp_path, build, stored):
    for name, text in (("old", "旧的内容有很多句话。" * 100), ("new", "新的内容。")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "r.txt").write_text(text, encoding="utf-8")
        build(tmp_path / name)
    assert [chunk["text"] for chunk in stored().values()] == ["新的内容。"]


def test_an_emptied_folder_removes_nothing(folder, build, stored):
    """More often it is a drive that is not mounted."""
    build(folder)
    for file in list(folder.rglob("*.*")):
        file.unlink()
    report = build(folder)
    assert (report.documents, report.removed, report.succeeded) == (0, 0, False)
    assert len(stored()) == 7


def test_recreate_builds_beside_and_swaps(folder, build, es, collection):
    client, _ = es
    build(folder)
    (folder / "a.txt").unlink()
    report = build(folder, recreate=True)
    assert report.index == f"bothways-{collection}-v2"
    assert versions(client, f"bothways-{collection}") == {
        f"bothways-{collection}-v1": False,
        f"bothways-{collection}-v2": True,
    }
    assert [(row[0].index, row[2]) for row in list_collections(client) if row[0].name == collection] == [
        (f"bothways-{collection}-v2", 6)
    ]


def test_recreate_of_nothing_keeps_the_old_version(folder, build, es, collection, tmp_path_factory):
    build(folder)
    empty = tmp_path_factory.mktemp("empty")
    assert build(empty, recreate=True, without_others=True).documents == 0
    assert versions(es[0], f"bothways-{collection}")[f"bothways-{collection}-v1"] is True


def test_a_rebuild_that_was_cut_off_goes_on(folder, build, encoder, es, collection):
    build(folder)

    with pytest.raises(KeyboardInterrupt):
        build(folder, writer=DyingWriter(after=4), recreate=True, concurrency=1)
    assert versions(es[0], f"bothways-{collection}")[f"bothways-{collection}-v1"] is True
    report = build(folder, writer=FixedWriter(), recreate=True)
    assert report.index == f"bothways-{collection}-v2"
    assert report.chunks == 7


def test_a_rebuild_of_another_folder_does_not_go_on_with_what_was_cut_off(folder, build, stored, tmp_path_factory):
    build(folder)

    with pytest.raises(KeyboardInterrupt):
        build(folder, writer=DyingWriter(), recreate=True)
    other = tmp_path_factory.mktemp("other")
    (other / "only.txt").write_text("另一个文件夹。", encoding="utf-8")
    report = build(other, recreate=True, without_others=True)
    assert report.held == ""
    assert [chunk["source"] for chunk in stored().values()] == ["only.txt"]


def test_a_rebuild_that_would_lose_a_document_waits(folder, build, es, collection):
    build(folder)
    content = (folder / "a.txt").read_bytes()
    (folder / "a.txt").write_bytes(b"\x00\x01\x02binary")
    report = build(folder, recreate=True)
    assert "a.txt could not be read" in report.held
    assert not report.succeeded
    live = versions(es[0], f"bothways-{collection}")
    assert live == {f"bothways-{collection}-v1": True, f"bothways-{collection}-v2": False}
    (folder / "a.txt").write_bytes(content)
    assert build(folder, recreate=True).succeeded
    assert versions(es[0], f"bothways-{collection}")[f"bothways-{collection}-v2"] is True


def test_only_the_version_before_is_kept(folder, build, es, collection):
    for _ in range(4):
        build(folder, recreate=True)
    assert list(versions(es[0], f"bothways-{collection}").values()) == [False, True]


def test_another_embedding_model_is_refused(folder, build):
    build(folder)
    for dry_run in (False, True):
        with pytest.raises(IncompatibleCollectionError, match=r"'fake/hash'.*'other'.*--recreate"):
            build(folder, embedding_model="other", dry_run=dry_run)


def test_dry_run_changes_nothing(folder, build, es, collection):
    writer = FixedWriter()
    report = build(folder, writer=writer, dry_run=True)
    assert (report.new, report.llm_calls, report.indexed) == (7, 7, 0)
    assert writer.calls == 0
    assert versions(es[0], f"bothways-{collection}") == {}


def test_vectors_as_lists_for_older_servers(folder, build, stored):
    assert build(folder, server_=Server("http://x", "8.19.0", "basic")).indexed == 7


def test_missing_path(build, tmp_path):
    with pytest.raises(UsageError, match="no file or folder"):
        build(tmp_path / "none")


def test_a_rejected_item_is_counted_and_the_others_go_in(es, build, folder, collection):
    client, _ = es
    build(folder)
    index = f"bothways-{collection}-v1"
    actions = [
        {"_op_type": "index", "_index": index, "_id": "good", "chunk_id": "good", "text": "好"},
        {"_op_type": "index", "_index": index, "_id": "bad", "text_sem": [1.0, 2.0]},
        {"_op_type": "index", "_index": index, "_id": "odd", "no_such_field": 1},
    ]
    report = bulk(client, actions)
    assert report.ok == 1
    assert {f.item: f.stage for f in report.failures} == {"bad": "bulk", "odd": "bulk"}
    assert "dimensions" in next(f.reason for f in report.failures if f.item == "bad")


def test_a_dead_server_stops_the_job_with_what_to_do(segmenter):
    from elasticsearch import Elasticsearch

    gone = Elasticsearch("http://127.0.0.1:1", max_retries=0)
    with pytest.raises(ElasticsearchUnavailableError, match="bothways es up"):
        bulk(gone, [{"_op_type": "index", "_index": "x", "_id": "1", "text": "a"}])


def test_the_pipeline_is_lazy(tmp_path, build, encoder, monkeypatch):
    """The first chunks are encoded before the last line of a large file is read."""
    rows = 2000
    (tmp_path / "c.jsonl").write_text("".join(json.dumps({"text": f"记录 {i}。"}) + "\n" for i in range(rows)))
    read_when_first_encoded = []
    original = encoder.encode_documents
    counter = {"n": 0}

    @contextmanager
    def counting(*what):
        with chunks_of(*what) as chunks:
            yield counted(chunks)

    def counted(chunks):
        for piece in chunks:
            counter["n"] += 1
            yield piece

    def noting(texts):
        read_when_first_encoded.append(counter["n"])
        return original(texts)

    monkeypatch.setattr(encoder, "encode_documents", noting)
    monkeypatch.setattr("bothways.indexer.job.chunks_of", counting)
    build(tmp_path)
    assert read_when_first_encoded[0] < rows / 2
    assert threading.active_count() < 50


def test_a_full_disk_stops_the_job_with_what_to_do_and_it_goes_on_later(folder, build, es, collection):
    """The flood-stage watermark sets this block when the server's disk is full."""
    client, _ = es
    build(folder)
    (folder / "new.txt").write_text("新的一份文件。", encoding="utf-8")
    with full_disk(client, f"bothways-{collection}-v1"), pytest.raises(ElasticsearchError, match="disk is full"):
        build(folder)
    assert (build(folder).new, build(folder).unchanged) == (1, 8)


def test_a_job_that_was_cut_off_goes_on_without_asking_twice(folder, build, encoder, stored, tmp_path_factory):
    """Ctrl-C after the first batch went out: what is in the index is not done again."""
    many = tmp_path_factory.mktemp("many")
    rows = "".join(json.dumps({"text": f"第 {i} 条记录的内容。"}, ensure_ascii=False) + "\n" for i in range(900))
    (many / "c.jsonl").write_text(rows, encoding="utf-8")

    first, second = DyingWriter(after=600), FixedWriter()
    with pytest.raises(KeyboardInterrupt):
        build(many, writer=first, concurrency=1)
    report = build(many, writer=second, concurrency=1)
    assert report.unchanged >= 256
    assert report.unchanged + second.calls == 900
    assert report.succeeded


def test_without_a_synonyms_file_on_the_server_the_rules_go_into_the_index(es, collection, monkeypatch):
    """As on a cluster whose configuration is not ours, and that has no synonyms API."""
    client, _ = es
    monkeypatch.setattr("bothways.indexer.versions.versions.set_for_new_index", lambda *_: None)
    mapping = chunk_mapping(embedding_model="m", dimension=8, analyzer="jieba-cut")
    mapping["settings"]["analysis"]["filter"]["bothways_synonyms"]["synonyms_path"] = "analysis/not-there.txt"
    index = create_version(
        client, f"bothways-{collection}", mapping, synonyms="# rules\n老公, 丈夫\n解除 劳动合同 => 离职\n"
    )
    found = client.indices.analyze(index=index, analyzer="segmented_search", text="老公 解除 劳动合同")
    assert {token["token"] for token in found["tokens"]} == {"老公", "丈夫", "离职"}
