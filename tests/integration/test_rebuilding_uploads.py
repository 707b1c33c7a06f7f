"""`--recreate` and what does not come from its path: uploads go over, other folders take a person's word."""

from __future__ import annotations

import json

import pytest

from bothways.core.collections.collection import open_collection
from bothways.core.errors import UsageError
from bothways.indexer.documents import delete_document, get_document, list_documents
from bothways.indexer.job import index_path
from bothways.indexer.parts import UPLOADED, JobOptions
from bothways.search.options import SearchOptions
from tests.fakes import DyingWriter, FixedWriter, HashEncoder, make_parts

pytestmark = pytest.mark.elasticsearch


def write(folder, **texts):
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "docs", leave="员工请假应当提前三天提交申请。", pay="工资每月十号发放。")


@pytest.fixture
def whole(es, collection):
    """All chunks of the live version with their vectors and those of their questions, by chunk id."""

    def read():
        source = {"includes": ["*"], "exclude_vectors": False}
        found = es[0].search(index=f"bothways-{collection}", size=100, query={"match_all": {}}, source=source)
        return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}

    return read


@pytest.fixture
def upload(build, tmp_path):
    """Index files as an upload does: `upload(name=text, ...)`."""

    def run(*, writer=None, **texts):
        place = tmp_path / "incoming"
        for old in place.glob("*"):
            old.unlink()
        return build(write(place, **texts), writer=writer, origin=UPLOADED)

    return run


def sources(stored):
    return {chunk["source"]: chunk["origin"] == UPLOADED for chunk in stored().values()}


def test_uploads_go_over_into_a_rebuild_as_they_are(folder, build, upload, whole, encoder, searcher, collection):
    build(folder, writer=FixedWriter())
    upload(writer=FixedWriter(), travel="差旅费用凭发票报销。" * 60)
    before = whole()
    encoder.batches.clear()
    report = build(folder, writer=FixedWriter(), recreate=True)
    uploaded = [chunk for chunk in whole().values() if chunk["origin"] == UPLOADED]
    assert len(uploaded) > 1
    assert uploaded[0]["questions"][0]["text_sem"]
    assert (report.held, report.kept, report.chunks) == ("", len(uploaded), 2)
    assert whole() == before
    hits = searcher.search("差旅费用凭发票报销", collection, SearchOptions(strategy="dense")).hits
    assert hits[0].source == "travel.txt"
    questions = searcher.search(uploaded[0]["questions"][0]["text"], collection, SearchOptions(strategy="questions"))
    assert questions.index.endswith("-v2")
    assert questions.hits[0].source == "travel.txt"


def test_uploads_are_encoded_anew_by_another_model(folder, build, upload, es, segmenter, collection, stored):
    build(folder, writer=FixedWriter())
    upload(writer=FixedWriter(), travel="差旅费用凭发票报销。")
    other = HashEncoder(dimension=96, name="fake/other")
    parts = make_parts(es, segmenter, encoder=lambda: other, embedding_model=other.name)
    report = index_path(folder, JobOptions(collection=collection, recreate=True), parts)
    assert (report.held, report.kept) == ("", 1)
    assert open_collection(es[0], collection).dimension == 96
    (chunk,) = [chunk for chunk in stored().values() if chunk["origin"] == UPLOADED]
    assert [question["text"] for question in chunk["questions"]]
    body = {"knn": {"field": "text_sem", "query_vector": other.encode_documents([chunk["text"]])[0].tolist(), "k": 1}}
    (hit,) = es[0].search(index=f"bothways-{collection}", size=1, **body)["hits"]["hits"]
    assert hit["_source"]["source"] == "travel.txt"


def test_a_document_that_the_rebuild_reads_itself_stays_as_it_was_read(folder, build, upload, stored):
    build(folder)
    upload(leave="员工请假应当提前五天提交申请。", travel="差旅费用凭发票报销。")
    assert sources(stored) == {"leave.txt": True, "pay.txt": False, "travel.txt": True}
    report = build(folder, recreate=True)
    assert (report.held, report.kept) == ("", 1)
    assert sources(stored) == {"leave.txt": False, "pay.txt": False, "travel.txt": True}
    assert {chunk["text"] for chunk in stored().values() if chunk["source"] == "leave.txt"} == {
        "员工请假应当提前三天提交申请。"
    }


def test_a_rebuild_that_was_cut_off_has_the_uploads_of_when_it_ends(
    folder, build, upload, stored, es, collection, monkeypatch
):
    build(folder)
    upload(travel="差旅费用凭发票报销。", old="旧的规定已经作废了。")

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("bothways.indexer.job.publish", killed)
        with pytest.raises(KeyboardInterrupt):
            build(folder, recreate=True)
    upload(travel="差旅费用凭车票报销。", new="新的规定从今天起用。")
    (old,) = [row for row in list_documents(es[0], collection) if row.source == "old.txt"]
    delete_document(es[0], collection, old.doc_id)
    report = build(folder, recreate=True)
    assert (report.held, report.kept, report.index) == ("", 2, f"bothways-{collection}-v2")
    assert sources(stored) == {"leave.txt": False, "pay.txt": False, "travel.txt": True, "new.txt": True}
    (travel,) = [row for row in list_documents(es[0], collection) if row.source == "travel.txt"]
    assert get_document(es[0], collection, travel.doc_id).chunks[0].text == "差旅费用凭车票报销。"


def test_documents_of_another_folder_take_a_persons_word(folder, build, stored, tmp_path, es, collection):
    build(folder)
    build(write(tmp_path / "more", travel="差旅费用凭发票报销。"))
    for dry_run in (True, False):
        with pytest.raises(UsageError, match=rf"leave out 1 documents.*{tmp_path / 'more'} \(1\).*--yes"):
            build(folder, recreate=True, dry_run=dry_run)
    assert open_collection(es[0], collection).index.endswith("-v1")
    assert set(sources(stored)) == {"leave.txt", "pay.txt", "travel.txt"}
    assert build(folder, recreate=True, without_others=True).held == ""
    assert set(sources(stored)) == {"leave.txt", "pay.txt"}


def test_the_other_files_of_a_folder_take_a_persons_word_too(folder, build):
    build(folder)
    with pytest.raises(UsageError, match="leave out 1 documents"):
        build(folder / "leave.txt", recreate=True)


def test_a_parent_folder_leaves_nothing_out(folder, build, stored, tmp_path):
    build(folder)
    build(folder / "leave.txt")
    assert build(tmp_path, recreate=True).held == ""
    assert set(sources(stored)) == {"docs/leave.txt", "docs/pay.txt"}


def test_the_command_line_wants_yes(folder, build, es, run, collection, packaged_cache, tmp_path):
    place = {"BOTHWAYS_CACHE_DIR": str(packaged_cache)}
    words = ("index", folder, "--collection", collection, "--no-questions")
    assert run(*words, **place)[0] == 0
    more = write(tmp_path / "more", travel="差旅费用凭发票报销。")
    assert run("index", more, "--collection", collection, "--no-questions", **place)[0] == 0
    code, _, err = run(*words, "--recreate", **place)
    assert code == 2
    assert "would leave out 1 documents that were indexed from elsewhere" in err
    assert "Add --yes" in err
    code, out, _ = run(*words, "--recreate", "--yes", "--json", **place)
    assert (code, json.loads(out)["index"]) == (0, f"bothways-{collection}-v2")


def test_a_file_that_is_passed_over_now_keeps_its_chunks(folder, build, stored):
    """It stands there all the same: a second corpus file beside it is no reason to forget it."""
    (folder / "corpus.jsonl").write_text(json.dumps({"_id": "a", "text": "合同应当书面订立。"}), encoding="utf-8")
    build(folder)
    assert set(sources(stored)) == {"corpus.jsonl", "leave.txt", "pay.txt"}
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "怎么订合同"}), encoding="utf-8")
    (folder / "pay.txt").unlink()
    report = build(folder)
    assert "leave.txt" in [item for item, _ in report.skipped]
    assert set(sources(stored)) == {"corpus.jsonl", "leave.txt"}


def test_a_rebuild_cut_off_in_the_middle_goes_on_and_keeps_uploads(folder, build, upload, stored):
    build(folder)
    upload(travel="差旅费用凭发票报销。")
    with pytest.raises(KeyboardInterrupt):
        build(folder, writer=DyingWriter(), recreate=True)
    assert build(folder, writer=FixedWriter(), recreate=True).held == ""
    assert set(sources(stored)) == {"leave.txt", "pay.txt", "travel.txt"}
