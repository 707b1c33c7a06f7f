"""The client against a real server and a real Elasticsearch; the language model says what the test says."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import threading
from contextlib import aclosing

import pytest

from bothways.client import AsyncClient, Client
from bothways.client.errors import (
    AuthenticationError,
    BothwaysError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    ResponseError,
    TimedOutError,
    UnavailableError,
    UnreachableError,
)
from bothways.schemas.ask import Answer, Delta
from tests.llm_server import Streamed
from tests.run_node import free_port
from tests.waiting import until

pytestmark = pytest.mark.elasticsearch

QUESTION = "请假要提前几天提交申请"


def test_search(client, filled):
    result = client.search(QUESTION, filled, top_k=2, strategy="bm25", explain=True)
    assert (result.collection, result.strategy, result.degraded) == (filled, "bm25", [])
    hit = result.hits[0]
    assert (hit.rank, hit.doc_id, hit.source) == (1, "leave", "c.jsonl")
    assert hit.metadata["article"] == "第八条"
    assert hit.explain["bm25"].rank == 1
    filtered = client.search(QUESTION, filled, filters={"law": "售后规则"}, strategy="hybrid")
    assert [hit.doc_id for hit in filtered.hits] == ["refund"]


def test_ask(client, filled, llm):
    answer = client.ask(QUESTION, filled, strategy="bm25", history=[{"role": "user", "content": "你好"}])
    assert (answer.answer, answer.status) == ("提前三天[1]。", "answered")
    assert [(one.n, one.doc_id) for one in answer.citations] == [(1, "leave")]
    assert answer.contexts[0].chunk_ids == ["leave-0"]
    assert "你好" in llm.requests[0]["messages"][0]["content"]


def test_ask_stream(client, filled):
    *deltas, answer = client.ask_stream(QUESTION, filled, strategy="bm25")
    assert all(isinstance(one, Delta) for one in deltas)
    assert len(deltas) > 1
    assert "".join(one.text for one in deltas) == "提前三天[1]。"
    assert isinstance(answer, Answer)
    assert answer.answer == "提前三天[1]。"


def test_a_stream_that_is_left_early_ends_the_models_work(client, filled, llm):
    llm.script = [Streamed(("又",) * 100_000, gap_s=0.02)]
    cut = llm.cut
    stream = client.ask_stream(QUESTION, filled, strategy="bm25")
    assert next(stream) == Delta(text="又")
    stream.close()
    assert not client._http._transport._pool.connections
    until(lambda: llm.writing == 0)
    assert llm.cut == cut + 1


def test_a_stream_that_is_left_early_with_an_event_loop(server, filled, llm):
    llm.script = [Streamed(("又",) * 100_000, gap_s=0.02)]
    cut = llm.cut

    async def work():
        async with (
            AsyncClient(server.url) as client,
            aclosing(client.ask_stream(QUESTION, filled, strategy="bm25")) as stream,
        ):
            assert await anext(stream) == Delta(text="又")

    asyncio.run(work())
    until(lambda: llm.writing == 0)
    assert llm.cut == cut + 1


def test_documents_and_jobs(client, collection, tmp_path):
    path = tmp_path / "病假.txt"
    path.write_text("病假须附医院证明。", encoding="utf-8")
    job = client.upload(collection, path, ("年假.txt", io.BytesIO("年假每年十天。".encode())))
    done = client.wait(job.id, timeout_s=60, poll_s=0.2)
    assert (done.state, done.has_ended, done.files) == ("done", True, ["病假.txt", "年假.txt"])
    assert client.jobs(collection=collection)[0].id == job.id
    new = {"id": "事/假", "text": "事假须经理批准。", "metadata": {"area": "hr"}}
    assert client.wait(client.upload_documents(collection, [new]).id, poll_s=0.2).state == "done"

    rows = client.documents(collection)
    assert sorted(row.source for row in rows)[-2:] == ["年假.txt", "病假.txt"]
    assert client.documents(collection, after=max(row.doc_id for row in rows)) == []
    shown = client.document(collection, "事/假")
    assert shown.metadata == {"area": "hr"}
    assert [chunk.text for chunk in shown.chunks] == ["事假须经理批准。"]
    assert len(shown.chunks[0].questions) == 2
    assert client.collection(collection).documents == 3

    client.delete_document(collection, "事/假")
    with pytest.raises(NotFoundError, match="事/假"):
        client.document(collection, "事/假")
    client.delete_collection(collection)
    assert collection not in [one.name for one in client.collections()]


def test_health(client):
    assert client.health().status == "ready"
    assert client.health().embedding_model == "fake/hash"


def test_feedback_that_the_server_does_not_record(client, filled):
    found = client.search(QUESTION, filled, strategy="bm25")
    with pytest.raises(ConflictError, match="BOTHWAYS_FEEDBACK"):
        client.feedback(found.query_id, found.hits[0].chunk_id, "up")


def test_a_refusal_says_what_is_wrong(client, filled):
    with pytest.raises(InvalidRequestError, match="top_k") as refused:
        client.search(QUESTION, filled, top_k=0)
    assert refused.value.status == 422
    assert refused.value.errors[0]["loc"] == ["body", "top_k"]
    assert refused.value.request_id
    with pytest.raises(NotFoundError, match="no-such"):
        client.ask(QUESTION, "no-such")
    with pytest.raises(NotFoundError):
        next(client.ask_stream(QUESTION, "no-such"))
    with pytest.raises(ValueError, match="no name"):
        client.collection("..")


def test_keys(serve, monkeypatch):
    server = serve(api_keys="the-secret-of-a-test")
    with Client(server.url) as none, pytest.raises(AuthenticationError, match="API key"):
        none.collections()
    with Client(server.url, api_key="the-secret-of-a-test") as given:
        assert isinstance(given.collections(), list)
    monkeypatch.setenv("BOTHWAYS_SERVER_API_KEY", "the-secret-of-a-test")
    monkeypatch.setenv("BOTHWAYS_SERVER_URL", server.url + "/")
    with Client() as from_environment:
        assert isinstance(from_environment.collections(), list)
    with Client(api_key="") as bare, pytest.raises(AuthenticationError):
        bare.collections()


def test_a_server_that_is_not_there():
    with Client(f"http://127.0.0.1:{free_port()}") as client, pytest.raises(UnreachableError, match="bothways serve"):
        client.health()


def test_an_address_that_is_none():
    with pytest.raises(ValueError, match=r"http://127\.0\.0\.1:8000"):
        Client("localhost:8000")


def test_without_an_event_loop_and_with_one_the_same(server, filled, collection):
    async def work():
        async with AsyncClient(server.url) as client:
            found, listed = await asyncio.gather(client.search(QUESTION, filled, strategy="bm25"), client.collections())
            assert filled in [one.name for one in listed]
            pieces = [one async for one in client.ask_stream(QUESTION, filled, strategy="bm25")]
            assert "".join(one.text for one in pieces[:-1]) == pieces[-1].answer
            answer = await client.ask(QUESTION, filled, strategy="bm25")
            job = await client.upload(collection, ("b.txt", "年假每年十天。".encode()))
            assert (await client.wait(job.id, poll_s=0.2)).state == "done"
            with pytest.raises(NotFoundError):
                await client.collection("no-such")
            return found, answer

    found, answer = asyncio.run(work())
    with Client(server.url) as client:
        again = client.search(QUESTION, filled, strategy="bm25")
    assert [hit.chunk_id for hit in found.hits] == [hit.chunk_id for hit in again.hits]
    assert answer.answer == "提前三天[1]。"


def test_both_clients_have_the_same_methods():
    public = {name for name in vars(Client) if not name.startswith("_")} - {"close"}
    assert public == {name for name in vars(AsyncClient) if not name.startswith("_")} - {"aclose"}


def test_nothing_heavy_is_imported():
    heavy = {"core", "search", "indexer", "api", "cli", "numpy", "elasticsearch", "openai"}
    code = f"import sys, bothways.client; print([m for m in sys.modules if m.split('.')[0] in {heavy}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_threads_share_a_client(client, filled):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(client.search(QUESTION, filled, strategy="bm25").hits[0].doc_id))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["leave"] * 8


def test_every_error_is_one_of_ours():
    for kind in (UnavailableError, ResponseError, TimedOutError, UnreachableError):
        assert issubclass(kind, BothwaysError)
