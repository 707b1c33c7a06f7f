"""A server that is told to end while it answers, waits for a body, or waits for a language model: all are told so."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from bothways.api.http import ending
from tests.llm_server import Scripted, Streamed
from tests.run_node import free_port
from tests.serving import filled, serve  # noqa: F401 – fixtures
from tests.waiting import until

pytestmark = pytest.mark.elasticsearch

ROOT = Path(__file__).parents[2]
ENDLESS = Streamed(("又",) * 100_000, gap_s=0.05)


@pytest.fixture
def llm():
    scripted = Scripted()
    scripted.script = [ENDLESS]
    yield scripted
    scripted.close()


@pytest.fixture
def short(monkeypatch):
    """Answers may go on for a moment only."""
    monkeypatch.setattr(ending, "GRACE_S", 0.3)


def asked(collection, **more):
    return {"query": "请假要提前几天", "collection": collection, "strategy": "bm25", **more}


def test_a_stream_ends_with_an_error_event(serve, filled, llm, short):  # noqa: F811
    server = serve(llm_base_url=llm.url, llm_model="m")
    body = asked(filled, stream=True)
    with httpx.stream("POST", f"{server.url}/api/v1/ask", json=body, timeout=60) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: delta"
        threading.Thread(target=server.close).start()
        events = [line for line in lines if line]
    assert events[-2] == "event: error"
    problem = json.loads(events[-1].removeprefix("data: "))
    assert problem["status"] == 503
    assert "about to end" in problem["detail"]
    until(lambda: llm.writing == 0)


def test_so_does_a_chat(serve, filled, llm, short):  # noqa: F811
    server = serve(llm_base_url=llm.url, llm_model="m")
    body = {"model": filled, "messages": [{"role": "user", "content": "请假要提前几天"}], "stream": True}
    with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body, timeout=60) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
        threading.Thread(target=server.close).start()
        events = [line for line in lines if line]
    assert "about to end" in json.loads(events[-1].removeprefix("data: "))["error"]["message"]


def test_an_answer_that_is_short_comes_to_its_end(serve, filled, llm):  # noqa: F811
    llm.script = [Streamed(("提前三天", "[1]", "。"), gap_s=0.3)]
    server = serve(llm_base_url=llm.url, llm_model="m")
    body = asked(filled, stream=True)
    with httpx.stream("POST", f"{server.url}/api/v1/ask", json=body, timeout=60) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: delta"
        threading.Thread(target=server.close).start()
        events = [line for line in lines if line]
    assert events[-2] == "event: done"


def test_whoever_waits_for_a_whole_answer_is_told(serve, filled, llm, short):  # noqa: F811
    begun = threading.Event()
    llm.script = [lambda _: begun.set() or "hang"]
    server = serve(llm_base_url=llm.url, llm_model="m")
    found = []

    def ask():
        found.append(httpx.post(f"{server.url}/api/v1/ask", json=asked(filled), timeout=60))

    asking = threading.Thread(target=ask)
    asking.start()
    assert begun.wait(30)
    server.close()
    asking.join(60)
    (answer,) = found
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "about to end" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/api/v1/search", "/api/v1/collections/test-nobody/documents"])
def test_whoever_still_sends_is_told(serve, short, path):  # noqa: F811
    server = serve()
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        )
        client.sendall(head.encode() + b'{"query"')
        time.sleep(0.5)
        threading.Thread(target=server.close).start()
        said = b""
        while piece := client.recv(65536):
            said += piece
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 5" in said.lower()
    assert b"about to end" in said


def test_connections_that_ask_nothing_or_stop_in_the_middle_hold_nobody_up(serve):  # noqa: F811
    server = serve()
    port = int(server.url.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port)) as idle,
        socket.create_connection(("127.0.0.1", port)) as half,
        httpx.Client() as kept,
    ):
        half.sendall(b"GET /health/live HTTP/1.1\r\nHost: ")
        assert kept.get(f"{server.url}/health/live").status_code == 200
        started = time.monotonic()
        server.close()
        assert time.monotonic() - started < ending.GRACEFUL_S
        assert idle.recv(1) == half.recv(1) == b""


def test_what_has_not_ended_by_then_is_told_so_too(serve, monkeypatch, caplog):  # noqa: F811
    monkeypatch.setattr("bothways.api.server.GRACEFUL_S", 1)
    server = serve()
    held = threading.Event()
    begun = threading.Event()
    server.app.state.searcher = lambda: begun.set() or held.wait(60)
    found = []
    asking = threading.Thread(target=lambda: found.append(httpx.get(f"{server.url}/health/ready", timeout=60)))
    asking.start()
    assert begun.wait(30)
    threading.Thread(target=server.close).start()
    asking.join(30)
    held.set()
    (answer,) = found
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "about to end" in answer.json()["detail"]
    assert "Traceback" not in caplog.text


def test_serve_ends_so_on_sigterm(es_url, filled, llm):  # noqa: F811
    """The process as an engine stops it: the stream has its last event, the log no traceback."""
    port = free_port()
    environment = {**os.environ, "BOTHWAYS_ES_URL": es_url, "BOTHWAYS_LLM_BASE_URL": llm.url, "BOTHWAYS_LLM_MODEL": "m"}
    environment["BOTHWAYS_EMBEDDING_MODEL"] = "fake/hash"  # what the collection says; words alone are asked
    command = [sys.executable, "-c", "from bothways.cli.main import main; main()", "serve", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            for _ in range(600):
                with suppress(httpx.TransportError):
                    if httpx.get(f"http://127.0.0.1:{port}/health/live").status_code == 200:
                        break
                time.sleep(0.1)
            body = asked(filled, stream=True)
            with httpx.stream("POST", f"http://127.0.0.1:{port}/api/v1/ask", json=body, timeout=120) as answer:
                lines = answer.iter_lines()
                assert next(lines) == "event: delta"
                server.send_signal(signal.SIGTERM)
                events = [line for line in lines if line]
        finally:
            server.terminate()
            _, said = server.communicate(timeout=60)
    assert events[-2] == "event: error"
    assert "Traceback" not in said, said
