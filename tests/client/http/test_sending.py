"""What is sent again and what is not, against a real server that counts."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler

import pytest

from bothways.client import Client
from bothways.client.errors import ResponseError, ServerError, TimedOutError, UnavailableError, UnreachableError
from bothways.client.http import sending
from tests.http_server import LocalServer

COLLECTIONS = "GET /api/v1/collections"
ASK = "POST /api/v1/ask"
SEARCH = "POST /api/v1/search"
FOUND = {
    "query_id": "1", "query": "q", "strategy": "bm25", "collection": "c", "index": "i", "hits": [], "timings_ms": {},
    "degraded": [], "of_a_newer_server": 1,
}  # fmt: skip


class Steps(LocalServer):
    """Answers requests from a list of (status, body, headers), "drop" or "hang"; the last one stays."""

    def __init__(self):
        self.script, self.asked = [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                outer.asked.append(f"{self.command} {self.path}")
                step = outer.script.pop(0) if len(outer.script) > 1 else outer.script[0]
                if step == "hang":
                    outer.release.wait(10)
                if isinstance(step, str):
                    return
                status, body, headers = step
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_DELETE = do_GET  # noqa: N815 – names of BaseHTTPRequestHandler

            def log_message(self, *_):
                pass

        super().__init__(Handler)


@pytest.fixture
def steps():
    server = Steps()
    yield server
    server.close()


@pytest.fixture
def client(steps, monkeypatch):
    monkeypatch.setattr(sending, "_FIRST_WAIT_S", 0.001)
    with Client(steps.url, timeout_s=2) as opened:
        yield opened


def refused(status, **headers):
    return status, {"title": "t", "status": status, "detail": "not now"}, headers


BUSY = {"Retry-After": "0"}


@pytest.mark.parametrize(
    "steps_before",
    [[refused(503)], [refused(503, **BUSY), refused(503, **BUSY)], ["drop"], ["drop", refused(503)]],
)
def test_a_read_is_sent_again(client, steps, steps_before):
    steps.script = [*steps_before, (200, FOUND, {})]
    assert client.search("q", "c").hits == []
    assert steps.asked == [SEARCH] * (len(steps_before) + 1)


def test_it_is_given_up_after_three_times(client, steps):
    steps.script = [refused(503)]
    with pytest.raises(UnavailableError, match="not now"):
        client.collections()
    assert steps.asked == [COLLECTIONS] * 3


def test_what_the_server_did_not_begin_is_sent_again_even_if_it_costs(client, steps):
    steps.script = [refused(503, **BUSY)]
    with pytest.raises(UnavailableError) as error:
        client.ask("q", "c")
    assert error.value.retry_after_s == 0
    assert steps.asked == [ASK] * 3


@pytest.mark.parametrize("step", [refused(503), refused(503, **{"Retry-After": "3600"}), refused(502)])
def test_what_may_have_begun_is_not(client, steps, step):
    steps.script = [step]
    with pytest.raises((UnavailableError, ServerError)):
        client.ask("q", "c")
    assert steps.asked == [ASK]


def test_a_connection_that_breaks_while_something_is_deleted(client, steps):
    steps.script = ["drop"]
    with pytest.raises(UnreachableError, match="broke"):
        client.delete_collection("c")
    assert len(steps.asked) == 1


@pytest.mark.parametrize("step", [refused(500), refused(504), refused(429)])
def test_other_refusals_are_not_sent_again(client, steps, step):
    steps.script = [step]
    with pytest.raises(Exception, match="not now") as error:
        client.collections()
    assert error.value.status == step[0]
    assert len(steps.asked) == 1


def test_a_time_out_is_not_sent_again(steps):
    steps.script = ["hang"]
    with Client(steps.url, timeout_s=0.2) as client, pytest.raises(TimedOutError, match="timeout_s"):
        client.collections()
    steps.release.set()
    assert len(steps.asked) == 1


@pytest.mark.parametrize(
    "step",
    [
        (200, b"<html>", {"Content-Type": "text/html"}),
        (404, b"<html>", {"Content-Type": "text/html"}),
        (404, {"error": "x"}, {}),
        (302, b"", {"Location": "/login"}),
        (200, {"hits": []}, {}),
        (200, [], {}),
        (200, {**FOUND, "hits": [{"rank": 1}]}, {}),
        (200, {**FOUND, "hits": {}}, {}),
        (200, {**FOUND, "query": 3}, {}),
    ],
)
def test_something_else_answers_there(client, steps, step):
    steps.script = [step]
    with pytest.raises(ResponseError, match="Bothways server"):
        client.search("q", "c")


STREAM = {"Content-Type": "text/event-stream"}


@pytest.mark.parametrize(
    ("body", "error", "told"),
    [
        (b"", ResponseError, "ended before"),
        (b'event: delta\ndata: {"text": "a"}\n\nevent: done\ndata: {"que', ResponseError, "ended before"),
        (b"event: delta\ndata: nothing\n\n", ResponseError, "not JSON"),
        (b'event: error\ndata: {"status": 502, "title": "t", "detail": "it broke"}\n\n', ServerError, "it broke"),
    ],
)
def test_a_stream_that_goes_wrong(client, steps, body, error, told):
    steps.script = [(200, body, STREAM)]
    with pytest.raises(error, match=told):
        list(client.ask_stream("q", "c"))
    assert steps.asked == [ASK]


def test_events_between_are_passed_over(client, steps):
    steps.script = [(200, b': ping\n\nevent: later\ndata: {}\n\nevent: delta\ndata: {"text":\ndata: "a"}\n\n', STREAM)]
    assert next(client.ask_stream("q", "c")).text == "a"


def test_an_answer_without_content(client, steps):
    steps.script = [(202, b"", {})]
    assert client.feedback("0" * 32, "c-0", "up") is None
    assert client.delete_document("a b", "第一条/二") is None
    assert steps.asked == [
        "POST /api/v1/feedback",
        "DELETE /api/v1/collections/a%20b/documents/%E7%AC%AC%E4%B8%80%E6%9D%A1%2F%E4%BA%8C",
    ]
