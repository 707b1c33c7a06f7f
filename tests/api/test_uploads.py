"""Uploads, documents and jobs over HTTP, against a real Elasticsearch; the jobs run in the server's own thread."""

from __future__ import annotations

import io
import json
import threading
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient

from bothways.api.app import create_app
from bothways.core.access.groups import Access
from bothways.core.access.guarded import guarded
from bothways.core.elastic.lease import Leases
from bothways.core.errors import CollectionNotFoundError, ElasticsearchUnavailableError, ModelError
from bothways.core.settings import load_settings
from bothways.indexer.documents import list_documents
from bothways.search.pipeline import Searcher
from tests.fakes import FixedWriter, HashEncoder, make_parts
from tests.waiting import until

pytestmark = pytest.mark.elasticsearch

LEAVE = "员工请假应当提前三天提交申请。"


class Pausing(FixedWriter):
    """Stops at the first chunk until it is let go."""

    def __init__(self):
        super().__init__()
        self.reached = threading.Event()
        self.go = threading.Event()

    def write(self, chunk):
        self.reached.set()
        assert self.go.wait(20)
        return super().write(chunk)


@pytest.fixture
def serve(es, segmenter, tmp_path):
    """Start a server: `serve(writer=..., **settings)`; all share one cache folder, as a restarted one does."""
    client, server = es
    running = []

    def start(*, writer=None, fails=None, **options):
        @contextmanager
        def parts(_):
            if fails:
                raise fails.pop()
            yield make_parts((client, server), segmenter, writer=writer)

        def build(_):
            return Searcher(client, segmenter, HashEncoder, embedding_model="fake/hash"), server

        chosen = load_settings(cache_dir=tmp_path / "cache", **options)
        app = create_app(chosen, build, parts)
        app.state.uploads._again_after_s = 0.05
        http = TestClient(app, raise_server_exceptions=False)
        running.append((app, writer))
        return http

    yield start
    for app, writer in running:
        if isinstance(writer, Pausing):
            writer.go.set()
        app.state.uploads.close()


@pytest.fixture
def http(serve):
    return serve(writer=FixedWriter())


@pytest.fixture
def documents(collection):
    return f"/api/v1/collections/{collection}/documents"


def files(**contents):
    return [("files", (name.replace("__", "."), text.encode())) for name, text in contents.items()]


def ended(http, answer):
    """Wait for the job of a 202 answer."""
    assert answer.status_code == 202, answer.text
    location = answer.headers["location"]
    assert location == f"/api/v1/jobs/{answer.json()['id']}"
    return until(lambda: (job := http.get(location).json())["state"] not in {"queued", "running"} and job)


def jobs_of(http, collection):
    return http.get("/api/v1/jobs", params={"collection": collection}).json()


def texts(http, documents):
    return {
        chunk["text"]
        for row in http.get(documents).json()
        for chunk in http.get(f"{documents}/{row['doc_id']}").json()["chunks"]
    }


def test_files_are_indexed_by_a_job(http, documents, collection):
    answer = http.post(documents, files=files(leave__txt=LEAVE, pay__md="# 工资\n\n每月十日发放。\n"))
    assert answer.json()["state"] == "queued"
    job = ended(http, answer)
    assert (job["state"], job["kind"], job["files"]) == ("done", "upload", ["leave.txt", "pay.md"])
    assert (job["counts"]["documents"], job["counts"]["indexed"], job["counts"]["questions"]) == (2, 2, 4)
    body = {"query": "请假", "collection": collection, "strategy": "hybrid", "filters": {"source": "leave.txt"}}
    hit = http.post("/api/v1/search", json=body).json()["hits"][0]
    assert (hit["source"], hit["text"]) == ("leave.txt", LEAVE)
    # A job is read as it is; a list is a search, which sees the job's end a moment later.
    listed = until(lambda: (page := jobs_of(http, collection))["jobs"][0]["state"] == "done" and page)
    assert (listed["total"], [one["id"] for one in listed["jobs"]]) == (1, [job["id"]])
    assert listed["jobs"][0] == job


def test_an_upload_replaces_its_own_files_and_nothing_else(http, documents):
    two = "".join(json.dumps({"_id": f"r{i}", "text": f"第{i}条。"}) + "\n" for i in range(2))
    ended(http, http.post(documents, files=files(leave__txt=LEAVE, rules__jsonl=two, pay__txt="工资每月十日发放。")))
    one = json.dumps({"_id": "r0", "text": "第零条改。"})
    again = files(rules__jsonl=one, pay__txt="工资每月五日发放。")
    job = ended(http, http.post(documents, files=again))
    assert (job["counts"]["changed"], job["counts"]["removed"]) == (2, 1)
    assert texts(http, documents) == {LEAVE, "第零条改。", "工资每月五日发放。"}
    job = ended(http, http.post(documents, files=again))
    assert (job["counts"]["unchanged"], job["counts"]["indexed"]) == (2, 0)


def test_documents_as_json(http, documents):
    rows = [
        {"id": "leave", "title": "请假", "text": LEAVE, "metadata": {"area": "hr", "tags": ["a", "b"]}},
        {"id": "a/b ../c", "text": "斜杠。"},
        {"id": "A", "text": "大写。"},
        {"id": "a", "text": "小写。"},
    ]
    assert ended(http, http.post(documents, json={"documents": rows}))["state"] == "done"
    shown = http.get(f"{documents}/leave").json()
    assert shown == {
        "doc_id": "leave",
        "title": "请假",
        "source": "leave.json",
        "metadata": {"area": "hr", "tags": ["a", "b"]},
        "chunks": [
            {
                "chunk_id": "leave-0",
                "position": 0,
                "heading": "请假",
                "text": LEAVE,
                "questions": ["问 员工请假应当", "怎么办 天提交申请。"],
                "generation": "fake/1",
            }
        ],
    }
    assert [row["doc_id"] for row in http.get(documents).json()] == ["A", "a", "a/b ../c", "leave"]
    assert http.get(f"{documents}/a%2Fb%20..%2Fc").json()["chunks"][0]["text"] == "斜杠。"
    ended(http, http.post(documents, json={"documents": [{"id": "leave", "text": "新。"}]}))
    assert texts(http, documents) == {"新。", "斜杠。", "大写。", "小写。"}


def test_pages_of_documents(http, documents):
    rows = [{"id": f"d{i}", "text": f"第{i}条。"} for i in range(5)]
    ended(http, http.post(documents, json={"documents": rows}))
    first = http.get(documents, params={"limit": 3}).json()
    second = http.get(documents, params={"limit": 3, "after": first[-1]["doc_id"]}).json()
    assert [row["doc_id"] for row in first + second] == ["d0", "d1", "d2", "d3", "d4"]
    assert first[0] == {"doc_id": "d0", "title": "d0", "source": "d0.json", "chunks": 1}


def test_delete_is_verified(http, documents, collection, es):
    long = "".join(f"第{i}句话说的是请假的事情要怎样办理才好。" for i in range(40))
    ended(http, http.post(documents, json={"documents": [{"id": "long", "text": long}, {"id": "x", "text": LEAVE}]}))
    assert len(http.get(f"{documents}/long").json()["chunks"]) > 2
    assert http.delete(f"{documents}/long").status_code == 204
    found = es[0].search(index=f"bothways-{collection}", query={"match_all": {}})["hits"]["hits"]
    assert [hit["_source"]["doc_id"] for hit in found] == ["x"]
    for strategy in ("bm25", "dense", "questions", "hybrid"):
        body = {"query": "请假的事情", "collection": collection, "strategy": strategy}
        assert {hit["doc_id"] for hit in http.post("/api/v1/search", json=body).json()["hits"]} <= {"x"}
    for method in (http.get, http.delete):
        answer = method(f"{documents}/long")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert "no document 'long'" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("send", "status", "says"),
    [
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, 415, "multipart/form-data"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "not JSON"),
        ({"json": {"documents": []}}, 422, "documents"),
        ({"json": {"documents": [{"id": "", "text": "x"}]}}, 422, "documents.0.id"),
        ({"json": {"documents": [{"id": "a", "text": "  "}]}}, 422, "documents.0.text"),
        ({"json": {"documents": [{"id": "a", "text": "x", "nope": 1}]}}, 422, "nope"),
        ({"json": {"documents": [{"id": "a", "text": "x"}, {"id": "a", "text": "y"}]}}, 422, "Two files"),
        ({"files": [("files", ("a.exe", b"x"))]}, 422, "Files of type .exe are not read"),
        ({"files": [("files", ("..", b"x"))]}, 422, "name of a file"),
        ({"files": [("files", ("a.txt", b"x"))], "data": {"note": "x"}}, 422, "'note' is not a file"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "boundary"),
    ],
)
def test_bad_uploads_are_told_what_to_do(http, documents, tmp_path, send, status, says):
    answer = http.post(documents, **send)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert says in answer.json()["detail"]
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["Law", "jobs", "a-v1"])
def test_names_that_no_collection_has(http, name):
    assert http.post(f"/api/v1/collections/{name}/documents", files=files(a__txt="x")).status_code == 422


def test_names_of_files_lead_nowhere_else(http, documents, tmp_path):
    sent = [("files", ("../../../evil.txt", LEAVE.encode()))]
    job = ended(http, http.post(documents, files=sent))
    assert (job["state"], job["files"]) == ("done", ["evil.txt"])
    assert not [path for path in tmp_path.rglob("evil.txt") if tmp_path / "cache" / "uploads" not in path.parents]
    until(lambda: not list(tmp_path.rglob("evil.txt")))  # and it is gone when it is indexed


def test_sizes_are_bounded(serve, documents):
    http = serve(max_upload_mb=0.001)
    answer = http.post(documents, files=files(a__txt="x" * 2000))
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert "BOTHWAYS_MAX_UPLOAD_MB" in answer.json()["detail"]

    def pieces():
        yield from [b"x" * 500] * 4

    for kind in ("application/json", "multipart/form-data; boundary=b"):
        answer = http.post(documents, content=pieces(), headers={"content-type": kind})
        assert answer.status_code in {413, 400}, answer.text
        assert kind != "application/json" or "BOTHWAYS_MAX_UPLOAD_MB" in answer.json()["detail"]


def test_an_upload_may_be_larger_than_other_bodies(serve, documents):
    http = serve(max_body_mb=0.001)
    assert ended(http, http.post(documents, files=files(a__txt="好。" * 500)))["state"] == "done"


def test_a_full_disk(http, documents, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    answer = http.post(documents, files=files(a__txt="x"))
    assert (answer.status_code, answer.headers["content-type"]) == (507, "application/problem+json")
    assert "is full" in answer.json()["detail"]


def test_cancel_while_it_runs_and_retry(serve, documents, collection):
    writer = Pausing()
    http = serve(writer=writer)
    answer = http.post(documents, files=files(leave__txt=LEAVE))
    assert writer.reached.wait(20)
    job = f"/api/v1/jobs/{answer.json()['id']}"
    assert http.get(job).json()["state"] == "running"
    refused = http.post(f"{job}/retry")
    assert (refused.status_code, "is running" in refused.json()["detail"]) == (409, True)
    assert http.delete(job).status_code == 202
    writer.go.set()
    assert ended(http, answer)["state"] == "cancelled"
    assert http.delete(job).status_code == 409
    again = http.post(f"{job}/retry")
    done = ended(http, again)
    assert (done["state"], done["retry_of"], done["counts"]["indexed"]) == ("done", answer.json()["id"], 1)
    assert "nothing to retry" in http.post(f"/api/v1/jobs/{done['id']}/retry").json()["detail"]
    gone = http.post(f"{job}/retry")
    assert (gone.status_code, "upload them again" in gone.json()["detail"]) == (409, True)


def test_a_corpus_is_one_file_of_an_upload(http, documents):
    """Among the files of one upload a BEIR corpus is no reason to pass over the others."""
    corpus = json.dumps({"_id": "d1", "title": "工资", "text": "工资每月十日发放。"})
    job = ended(http, http.post(documents, files=files(corpus__jsonl=corpus, leave__txt=LEAVE)))
    assert (job["state"], job["skipped"], job["counts"]["documents"]) == ("done", [], 2)
    assert texts(http, documents) == {"工资每月十日发放。", LEAVE}


def test_nothing_is_deleted_while_a_job_writes(serve, documents, collection):
    writer = Pausing()
    writer.go.set()
    http = serve(writer=writer)
    ended(http, http.post(documents, files=files(leave__txt=LEAVE)))
    (row,) = http.get(documents).json()
    writer.go.clear()
    writer.reached.clear()
    answer = http.post(documents, files=files(pay__txt="工资每月十日发放。"))
    assert writer.reached.wait(20)
    of_it = f"/api/v1/collections/{collection}"
    for method, path in (
        ("DELETE", f"{documents}/{row['doc_id']}"),
        ("DELETE", of_it),
        ("POST", f"{of_it}/rollback"),
    ):
        refused = http.request(method, path)
        assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")
        assert f"`bothways jobs cancel {answer.json()['id']}`" in refused.json()["detail"]
    writer.go.set()
    assert ended(http, answer)["state"] == "done"
    assert len(http.get(documents).json()) == 2
    assert http.delete(f"{documents}/{row['doc_id']}").status_code == 204
    assert http.post(f"{of_it}/rollback").status_code == 422
    assert http.delete(of_it).status_code == 204
    assert http.get(of_it).status_code == 404


def test_cancel_while_it_waits(serve, documents, collection, es):
    http = serve()
    with Leases(es[0]).hold(f"collection {collection}"):
        answer = http.post(documents, files=files(leave__txt=LEAVE))
        assert http.delete(answer.headers["location"]).json()["state"] == "cancelled"
    until(lambda: not http.app.state.uploads._spool.waiting())
    assert http.get(documents).status_code == 404  # the collection was never made


def test_an_upload_waits_for_a_job_on_its_collection_and_others_pass_it(serve, documents, collection, es):
    http = serve()
    other = f"{collection}-other"
    try:
        with Leases(es[0]).hold(f"collection {collection}"):
            waits = http.post(documents, files=files(leave__txt=LEAVE))
            passes = http.post(f"/api/v1/collections/{other}/documents", files=files(leave__txt=LEAVE))
            assert ended(http, passes)["state"] == "done"
            assert http.get(waits.headers["location"]).json()["state"] == "queued"
        assert ended(http, waits)["state"] == "done"
    finally:
        http.delete(f"/api/v1/collections/{other}")
        es[0].delete_by_query(index="bothways-jobs", query={"term": {"collection": other}}, refresh=True)


def test_a_server_that_starts_again_goes_on(serve, documents):
    writer = Pausing()
    first = serve(writer=writer)
    runs = first.post(documents, files=files(leave__txt=LEAVE))
    assert writer.reached.wait(20)
    waits = first.post(documents, files=files(pay__txt="工资每月十日发放。"))
    closing = threading.Thread(target=first.app.state.uploads.close)
    closing.start()
    until(first.app.state.uploads._ending.is_set)
    writer.go.set()
    closing.join(20)
    assert first.get(runs.headers["location"]).json()["state"] == "queued"
    with serve(writer=FixedWriter()) as second:
        assert [ended(second, answer)["state"] for answer in (runs, waits)] == ["done", "done"]
        assert texts(second, documents) == {LEAVE, "工资每月十日发放。"}
    assert second.app.state.uploads._spool.waiting() == []


def test_an_upload_during_which_servers_die_is_put_aside(serve, documents):
    http = serve()
    with http.app.state.uploads._spool.receive("20260101-000000-000aaaaaa", documents.split("/")[-2]) as incoming:
        incoming.add("a.txt", io.BytesIO(b"x"))
    (upload,) = http.app.state.uploads._spool.waiting()
    http.app.state.uploads._spool.note(upload, attempts=3)
    http.app.state.uploads.run_waiting()
    job = http.get("/api/v1/jobs/20260101-000000-000aaaaaa").json()
    assert (job["state"], "died 3 times" in job["error"]) == ("failed", True)


def test_elasticsearch_away_for_a_while_loses_nothing(serve, documents):
    fails = [ElasticsearchUnavailableError("away"), ElasticsearchUnavailableError("away")]
    http = serve(fails=fails)
    job = ended(http, http.post(documents, files=files(leave__txt=LEAVE)))
    assert (job["state"], fails) == ("done", [])


def test_what_fails_is_said_and_can_be_retried(serve, documents):
    http = serve(fails=[ModelError("The model is not there.")])
    job = ended(http, http.post(documents, files=files(leave__txt=LEAVE)))
    assert (job["state"], job["error"]) == ("failed", "The model is not there.")
    assert ended(http, http.post(f"/api/v1/jobs/{job['id']}/retry"))["state"] == "done"


def test_keys(serve, documents):
    http = serve(api_keys="first-key-of-admins")
    assert http.post(documents, files=files(a__txt="x")).status_code == 401
    for path in (documents, f"{documents}/x", "/api/v1/jobs", "/api/v1/jobs/x"):
        assert http.get(path).status_code == 401
    assert http.delete("/api/v1/jobs/x").status_code == 401
    assert http.post("/api/v1/jobs/x/retry").status_code == 401
    assert http.get("/api/v1/jobs/x", headers={"X-API-Key": "first-key-of-admins"}).status_code == 404


def test_listing_jobs(http):
    assert http.get("/api/v1/jobs", params={"state": "sleeping"}).status_code == 422
    assert http.get("/api/v1/jobs", params={"limit": 0}).status_code == 422
    assert http.get("/api/v1/jobs", params={"collection": "nobody-has-this"}).json() == {"total": 0, "jobs": []}


def test_openapi(http):
    paths = http.get("/openapi.json").json()["paths"]
    upload = paths["/api/v1/collections/{collection}/documents"]["post"]
    assert set(upload["requestBody"]["content"]) == {"multipart/form-data", "application/json"}
    assert {"202", "413", "415", "422", "507"} <= set(upload["responses"])
    assert set(paths["/api/v1/jobs/{job_id}"]) == {"get", "delete"}
    assert "post" in paths["/api/v1/jobs/{job_id}/retry"]


def test_an_upload_that_begins_a_protected_collection(http, documents, collection, es):
    rows = [
        {"id": "leave", "text": LEAVE, "metadata": {"groups": ["hr", "staff"]}},
        {"id": "suit", "text": "机密诉讼。", "metadata": {"groups": ["legal"]}},
    ]
    job = ended(http, http.post(f"{documents}?acl_field=groups", json={"documents": rows}))
    assert job["state"] == "done"
    assert http.get(f"/api/v1/collections/{collection}").json()["acl_field"] == "groups"
    client = guarded(es[0], Access(frozenset({"staff"})))
    assert [document.doc_id for document in list_documents(client, collection)] == ["leave"]
    assert http.post(f"{documents}?acl_field=a*", json={"documents": rows}).status_code == 422
    # Later uploads need not say it again.
    assert ended(http, http.post(documents, json={"documents": [rows[1] | {"id": "again"}]}))["state"] == "done"
    assert http.get(f"/api/v1/collections/{collection}").json()["acl_field"] == "groups"
    assert [document.doc_id for document in list_documents(client, collection)] == ["leave"]


# A collection whose alias is lost


def test_nothing_is_lost_by_an_upload_after_the_alias_is_lost(serve, http, documents, collection, es):
    client, alias = es[0], f"bothways-{collection}"
    ended(http, http.post(documents, files=files(leave__txt=LEAVE, pay__txt="工资每月十号发放。")))
    client.indices.delete_alias(index="*", name=alias)

    asked = (
        http.post(documents, files=files(one__txt="差旅费用凭发票报销。")),
        http.post("/api/v1/search", json={"query": "请假", "collection": collection}),
        http.get(documents),
        http.get(f"/api/v1/collections/{collection}"),
        http.post(f"/api/v1/collections/{collection}/rollback"),
    )
    for answer in asked:
        assert answer.status_code == 409, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert f"bothways collections adopt {collection} --version 1" in answer.json()["detail"]
    (row,) = [row for row in http.get("/api/v1/collections").json() if row["name"] == collection]
    assert (row["index"], row["documents"], [version["chunks"] for version in row["versions"]]) == ("", 0, [2])
    assert "collections adopt" in row["problem"]
    assert list(client.indices.get(index=f"{alias}-v*")) == [f"{alias}-v1"]

    client.indices.put_alias(index=f"{alias}-v1", name=alias)
    assert ended(http, http.post(documents, files=files(one__txt="差旅费用凭发票报销。")))["state"] == "done"
    assert len(texts(http, documents)) == 3


def test_an_upload_that_waited_while_the_alias_was_lost_is_kept_for_a_retry(serve, documents, collection, es):
    client, alias = es[0], f"bothways-{collection}"
    http = serve()
    ended(http, http.post(documents, files=files(leave__txt=LEAVE)))
    until(lambda: Leases(client).read(f"collection {collection}") is None)  # let go of a moment after the record ends
    with Leases(client).hold(f"collection {collection}", note="other"):
        waiting = http.post(documents, files=files(pay__txt="工资每月十号发放。"))
        assert waiting.status_code == 202
        client.indices.delete_alias(index="*", name=alias)
    job = ended(http, waiting)
    assert job["state"] == "failed"
    assert "collections adopt" in job["error"]
    client.indices.put_alias(index=f"{alias}-v1", name=alias)
    assert ended(http, http.post(f"/api/v1/jobs/{job['id']}/retry"))["state"] == "done"
    assert len(texts(http, documents)) == 2


def test_a_key_with_groups_learns_nothing_of_a_collection_whose_alias_is_lost(http, documents, collection, es):
    ended(http, http.post(documents, files=files(leave__txt=LEAVE)))
    es[0].indices.delete_alias(index="*", name=f"bothways-{collection}")
    reader = guarded(es[0], Access(frozenset({"hr"})))
    with pytest.raises(CollectionNotFoundError) as told:
        list_documents(reader, collection)
    with pytest.raises(CollectionNotFoundError) as other:
        list_documents(reader, "no-such-thing")
    assert str(told.value).replace(collection, "X") == str(other.value).replace("no-such-thing", "X")
