"""Documents that change, and models that do, under searches that go on."""

from __future__ import annotations

import json
import threading

import pytest
import structlog

from bothways.core.collections.collection import open_collection
from bothways.core.errors import CollectionNotFoundError, IncompatibleCollectionError, UsageError
from bothways.evaluation.build import evaluate_collection
from bothways.evaluation.judged.queries import load_queries
from bothways.indexer.bulk import bulk
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from bothways.indexer.versions.check import check_version
from bothways.indexer.versions.rollback import list_versions, rollback
from bothways.indexer.versions.versions import chunk_mapping, create_version, swap_alias
from bothways.search.options import SearchOptions
from bothways.search.pipeline import Searcher
from bothways.search.retrieve import versions as search_versions
from tests.fakes import DyingWriter, FixedWriter, HashEncoder, make_parts

pytestmark = pytest.mark.elasticsearch

ARTICLES = [f"第{i}条 本条规定第{i * 37}号事项的办理期限。" for i in range(1, 101)]


@pytest.fixture
def folder(tmp_path):
    """A file of a hundred records without ids, a text that is named after its file, and one with a title."""
    docs = tmp_path / "docs"
    docs.mkdir()
    write_records(docs / "articles.jsonl", ARTICLES)
    (docs / "leave.txt").write_text("员工请假应当提前三天提交申请。", encoding="utf-8")
    (docs / "travel.md").write_text("# 差旅\n\n差旅费用凭发票报销。\n", encoding="utf-8")
    return docs


def write_records(path, texts):
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")


@pytest.fixture
def build_with(es, segmenter, collection):
    """Index into this test's collection by an encoder of one's own: its name is the model's."""
    client, server = es

    def run(path, encoder, **options):
        parts = make_parts((client, server), segmenter, encoder=lambda: encoder, embedding_model=encoder.name)
        return index_path(path, JobOptions(collection=collection, **options), parts)

    return run


@pytest.fixture
def live(es, collection):
    def index():
        return open_collection(es[0], collection).index

    return index


@pytest.fixture
def at_once(monkeypatch):
    """Look at the alias at every search."""
    monkeypatch.setattr(search_versions, "TTL_S", 0.0)


def states(es, collection):
    return [(version.number, version.state) for version in list_versions(es[0], collection)]


# Documents


def test_renamed_files_are_neither_encoded_nor_asked(folder, build, encoder, stored, searcher, collection):
    build(folder, writer=FixedWriter())
    before = {chunk["text"]: chunk["questions"] for chunk in stored().values()}
    assert sum(map(len, before.values())) == 204
    (folder / "2025").mkdir()
    for name, other in (("articles.jsonl", "2025/law.jsonl"), ("leave.txt", "2025/off.txt"), ("travel.md", "t.md")):
        (folder / name).rename(folder / other)
    encoder.batches.clear()
    writer = FixedWriter()

    foreseen = build(folder, writer=writer, dry_run=True)
    assert (foreseen.new, foreseen.reused, foreseen.llm_calls, foreseen.indexed) == (102, 102, 0, 0)
    report = build(folder, writer=writer)

    assert (report.new, report.reused, report.indexed, report.removed) == (102, 102, 102, 102)
    assert (report.encoded, encoder.batches, writer.calls) == (0, [], 0)
    assert report.succeeded
    after = stored()
    assert {chunk["text"]: chunk["questions"] for chunk in after.values()} == before
    assert {chunk["source"] for chunk in after.values()} == {"2025/law.jsonl", "2025/off.txt", "t.md"}
    assert {chunk["title"] for chunk in after.values()} == {"law", "off", "差旅"}
    for strategy in ("bm25", "dense", "questions"):
        hits = searcher.search("员工请假应当提前三天提交申请。", collection, SearchOptions(strategy=strategy)).hits
        assert hits[0].source == "2025/off.txt", strategy
    assert build(folder, writer=writer).unchanged == 102


def test_a_file_with_its_title_as_its_name_may_lose_that_name(tmp_path, build, encoder):
    (tmp_path / "差旅.md").write_text("# 差旅\n\n差旅费用凭发票报销。\n", encoding="utf-8")
    build(tmp_path)
    (tmp_path / "差旅.md").rename(tmp_path / "7.md")
    assert (build(tmp_path).reused, build(tmp_path).unchanged) == (1, 1)
    (tmp_path / "7.md").rename(tmp_path / "差旅.md")
    encoder.batches.clear()
    assert build(tmp_path).reused == 1
    assert encoder.batches == []


def test_one_record_more_in_front_encodes_one_record(folder, build, encoder):
    """The records have no ids, so each one after it is another document by its number."""
    build(folder)
    write_records(folder / "articles.jsonl", ["总则。", *ARTICLES])
    encoder.batches.clear()
    report = build(folder)
    assert (report.changed, report.new, report.reused) == (100, 1, 100)
    assert encoder.batches == [1]


def test_the_same_words_under_another_title_are_another_text(tmp_path, build, encoder, stored):
    rows = [{"_id": "a", "title": "退货", "text": "请联系客服。"}]
    (tmp_path / "a.jsonl").write_text(json.dumps(rows[0], ensure_ascii=False), "utf-8")
    build(tmp_path)
    rows[0] |= {"_id": "b", "title": "换货"}
    (tmp_path / "b.jsonl").write_text(json.dumps(rows[0], ensure_ascii=False), "utf-8")
    encoder.batches.clear()
    report = build(tmp_path)
    assert (report.new, report.reused, encoder.batches) == (1, 0, [1])


def test_a_renamed_file_without_questions_is_asked_about_when_there_is_a_model(folder, build, encoder):
    build(folder)
    (folder / "leave.txt").rename(folder / "off.txt")
    writer = FixedWriter()
    report = build(folder, writer=writer)
    assert (report.reused, writer.calls) == (0, 102)


def test_a_refused_text_stays_refused_when_its_file_is_renamed(folder, build):
    build(folder, writer=FixedWriter(refuse=["请假"]))
    (folder / "leave.txt").rename(folder / "off.txt")
    writer = FixedWriter()
    report = build(folder, writer=writer)
    assert (report.reused, report.refused_before, writer.calls) == (1, 1, 0)


def test_an_index_of_an_older_bothways_gains_the_new_fields(folder, build, es, segmenter, collection, stored):
    """Made before chunks had a `text_hash`: it goes on working, and learns the hash with what is written to it."""
    client, _ = es
    mapping = chunk_mapping(embedding_model="fake/hash", dimension=64, analyzer=segmenter.name)
    del mapping["mappings"]["properties"]["text_hash"]
    swap_alias(client, f"bothways-{collection}", to=create_version(client, f"bothways-{collection}", mapping))
    assert build(folder, dry_run=True).new == 102
    assert build(folder).succeeded
    assert all(len(chunk["text_hash"]) == 40 for chunk in stored().values())
    (folder / "leave.txt").rename(folder / "off.txt")
    assert build(folder).reused == 1


def test_searches_go_on_while_documents_change(folder, build, searcher, collection, at_once):
    build(folder)
    with Searching(searcher, collection) as found:
        for round_ in range(4):
            write_records(folder / "articles.jsonl", [text + "修订" * round_ for text in ARTICLES])
            (folder / "leave.txt").write_text(f"员工请假应当提前{round_ + 4}天提交申请。", encoding="utf-8")
            assert build(folder).changed == (101 if round_ else 1)
    assert found.failures == []
    assert found.degraded == set()
    assert found.count > 3


# Versions


class Searching:
    """Searches in a thread, over and over, for as long as the block runs; keeps what failed."""

    def __init__(self, searcher, collection):
        self.failures, self.indices, self.degraded, self.count = [], [], set(), 0
        self._searcher, self._collection = searcher, collection
        self._stop = threading.Event()
        self._began = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        assert self._began.wait(30)
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.is_set():
            try:
                result = self._searcher.search("请假提前几天", self._collection, SearchOptions(strategy="hybrid"))
                assert result.hits, "nothing was found"
            except Exception as error:  # noqa: BLE001 – whatever it is, it must not happen
                self.failures.append(error)
            else:
                self.indices.append(result.index)
                self.degraded |= set(result.degraded)
            self.count += 1
            self._began.set()


def test_a_change_of_model_under_a_loop_of_searches_fails_none(
    folder, build, build_with, searcher, es, segmenter, collection, live, at_once
):
    build(folder)
    other = HashEncoder(dimension=96, name="fake/other")
    with structlog.testing.capture_logs() as logs, Searching(searcher, collection) as found:
        report = build_with(folder, other, recreate=True)
        assert (report.held, live()) == ("", f"bothways-{collection}-v2")
        at_swap = found.count
        while found.count < at_swap + 5:
            pass
    assert found.failures == []
    assert found.degraded == set()
    assert set(found.indices) == {f"bothways-{collection}-v1"}, "the process has the old model and stays with it"
    (warning,) = [line for line in logs if line["event"] == "older_version_is_served"]
    assert "BOTHWAYS_EMBEDDING_MODEL=fake/other" in warning["reason"]

    fresh = Searcher(es[0], segmenter, lambda: other, embedding_model="fake/other")
    assert fresh.search("请假提前几天", collection, SearchOptions(strategy="dense")).index == live()
    late = Searcher(es[0], segmenter, HashEncoder, embedding_model="fake/hash")
    with pytest.raises(IncompatibleCollectionError, match=r"set BOTHWAYS_EMBEDDING_MODEL=fake/other"):
        late.search("请假", collection, SearchOptions())


def test_rebuilds_that_remove_the_version_under_a_search_fail_none(folder, build, searcher, collection, live):
    """The collection is not looked at anew for five seconds: meanwhile its version is replaced and then removed."""
    build(folder)
    with Searching(searcher, collection) as found:
        for _ in range(4):
            assert build(folder, recreate=True).held == ""
    assert found.failures == []
    assert found.degraded == set()
    assert len(set(found.indices)) > 1
    assert searcher.search("请假", collection, SearchOptions()).index in {live(), f"bothways-{collection}-v4"}


def test_a_process_whose_version_was_removed_for_another_model_is_told_what_to_do(
    folder, build, build_with, searcher, collection, at_once
):
    build(folder)
    searcher.search("请假", collection, SearchOptions())
    for _ in range(2):
        build_with(folder, HashEncoder(dimension=96, name="fake/other"), recreate=True)
    with pytest.raises(IncompatibleCollectionError, match="BOTHWAYS_EMBEDDING_MODEL=fake/other"):
        searcher.search("请假", collection, SearchOptions())


def test_another_model_is_refused_wherever_a_collection_is_opened(folder, build, es, segmenter, collection, tmp_path):
    build(folder)
    other = Searcher(es[0], segmenter, HashEncoder, embedding_model="fake/other")
    queries = tmp_path / "q.jsonl"
    queries.write_text(json.dumps({"query": "请假", "gold": {"source": "leave.txt"}}), encoding="utf-8")
    told = r"'fake/hash'.*in use is 'fake/other': set BOTHWAYS_EMBEDDING_MODEL=fake/hash.*--recreate"
    with pytest.raises(IncompatibleCollectionError, match=told):
        other.search("请假", collection, SearchOptions(strategy="bm25"))
    with pytest.raises(IncompatibleCollectionError, match=told):
        build(folder, embedding_model="fake/other")
    with pytest.raises(IncompatibleCollectionError, match=told):
        evaluate_collection(other, collection, load_queries(queries), ["bm25"], options=SearchOptions())


def test_rollback_goes_back_and_forth(folder, build, build_with, es, searcher, collection, live, at_once):
    client, _ = es
    build(folder)
    with pytest.raises(UsageError, match="no earlier version"):
        rollback(client, collection)
    build_with(folder, HashEncoder(dimension=96, name="fake/other"), recreate=True)
    assert states(es, collection) == [(1, "kept"), (2, "live")]

    left, now = rollback(client, collection)
    assert (left.number, now.number, now.chunks) == (2, 1, 102)
    assert live() == f"bothways-{collection}-v1"
    assert states(es, collection) == [(1, "live"), (2, "rolled back")]
    assert searcher.search("请假", collection, SearchOptions()).index == live()

    with pytest.raises(UsageError, match=r"no earlier version.*there is: v2 \(--to N\)"):
        rollback(client, collection)
    with pytest.raises(UsageError, match="no version 7"):
        rollback(client, collection, to=7)
    rollback(client, collection, to=2)
    assert states(es, collection) == [(1, "kept"), (2, "live")]


def test_a_rebuild_after_a_rollback_begins_anew(folder, build, es, collection):
    """What was gone back from was complete: a rebuild that went on with it would bring it back as it is."""
    for recreate in (False, True):
        build(folder, recreate=recreate)
    rollback(es[0], collection)
    report = build(folder, recreate=True)
    assert (report.index, report.unchanged) == (f"bothways-{collection}-v3", 0)
    assert states(es, collection) == [(1, "kept"), (3, "live")]


def test_an_unfinished_rebuild_is_no_version_to_go_to(folder, build, es, collection):
    build(folder)

    with pytest.raises(KeyboardInterrupt):
        build(folder, writer=DyingWriter(), recreate=True)
    assert states(es, collection) == [(1, "live"), (2, "unfinished")]
    with pytest.raises(UsageError, match="no version 2"):
        rollback(es[0], collection, to=2)
    with pytest.raises(CollectionNotFoundError):
        rollback(es[0], "no-such-thing")


def test_a_rebuild_of_one_file_does_not_go_on_with_that_of_its_folder(folder, build, stored):
    build(folder)

    with pytest.raises(KeyboardInterrupt):
        build(folder, writer=DyingWriter(at="请假"), recreate=True, concurrency=1)
    assert build(folder / "leave.txt", recreate=True, without_others=True).held == ""
    assert [chunk["source"] for chunk in stored().values()] == ["leave.txt"]


# The check before the swap


class Unstable(HashEncoder):
    """Gives every call vectors of another model, as two workers with different weights under one name would."""

    def encode_documents(self, texts):
        return -HashEncoder.encode_documents(self, texts) if self.batches else super().encode_documents(texts)


def test_a_version_whose_chunks_are_not_found_is_not_used(folder, build, build_with, es, collection, live):
    build(folder)
    report = build_with(folder, Unstable(), recreate=True)
    assert report.held.startswith(
        "20 of 20 sampled chunks are not among the first 10 hits for their own text by vector"
    )
    assert not report.succeeded
    assert live() == f"bothways-{collection}-v1"
    assert states(es, collection) == [(1, "live"), (2, "failed its check")]
    report = build(folder, recreate=True)
    assert (report.held, report.unchanged) == ("", 0), "it is built anew, since what it holds is not sound"
    assert live() == report.index


def test_what_the_check_notices(folder, build, es, segmenter, encoder, collection, live):
    client, _ = es
    build(folder)

    def check(chunks=102, *, may_hold_more=False, encoder=encoder):
        told = {"chunks": chunks, "may_hold_more": may_hold_more}
        return check_version(client, live(), **told, encoder=encoder, segmenter=segmenter)

    assert check() == ""
    assert check(103) == "it holds 102 chunks and 103 were read"
    assert check(101) == "it holds 102 chunks and 101 were read"
    assert check(101, may_hold_more=True) == ""
    assert "dimension" in check(encoder=HashEncoder(dimension=8))
    client.update_by_query(
        index=live(), refresh=True, script={"source": "ctx._source.text_kw = 'x'; ctx._source.text = 'y' + ctx._id"}
    )
    assert "for their own" in check()


def test_a_late_write_does_not_bring_a_deleted_version_back(build, es, collection, tmp_path):
    (tmp_path / "a.txt").write_text("年假有五天。", encoding="utf-8")
    index = build(tmp_path).index
    es[0].indices.delete(index=index)
    report = bulk(es[0], [{"_op_type": "index", "_index": index, "_id": "late", "text": "late"}])
    assert (report.ok, [failure.item for failure in report.failures]) == (0, ["late"])
    assert not es[0].indices.exists(index=index)
