"""The server at its edge, by plain sockets: how much, how long, and that the answer arrives whatever is still sent."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress

import httpx
import pytest
from structlog.testing import capture_logs

from bothways.api.app import create_app
from bothways.api.http import body, protocol
from bothways.api.server import make_server
from bothways.core.settings import load_settings
from bothways.search.pipeline import Searcher
from tests.fakes import HashEncoder
from tests.waiting import until

pytestmark = pytest.mark.elasticsearch

KEY = "k" * 40
SEARCH = "/api/v1/search"
UPLOAD = "/api/v1/collections/test-that-nobody-makes/documents"


class Running:
    """A server in a thread, as `bothways serve` makes it."""

    def __init__(self, app, loop):
        self.app = app
        self._server = make_server(app, ending=app.state.ending, port=0, log_level="critical", loop=loop)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self._server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def connections(self):
        return len(self._server.server_state.connections)

    def close(self):
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request, es, segmenter, tmp_path_factory):
    def build(_):
        return Searcher(es[0], segmenter, HashEncoder, embedding_model="fake/hash"), es[1]

    chosen = load_settings(
        cache_dir=tmp_path_factory.mktemp("cache"),
        feedback=False,
        api_keys=KEY,
        max_body_mb=2,
        max_upload_mb=3,
        allowed_hosts="testserver",
    )
    running = Running(create_app(chosen, build), request.param)
    yield running
    running.close()


def head(method, path, *lines, host="127.0.0.1"):
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode()


def post(path, size, *lines):
    return head("POST", path, f"X-API-Key: {KEY}", "Content-Type: application/json", f"Content-Length: {size}", *lines)


class Client:
    """A client that knows nothing: it sends what it is told to, and reads what comes."""

    def __init__(self, server, timeout=30):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def flood(self, piece, times, every_s=0.0):
        """Send a piece many times: how often it went before the server closed."""
        for sent in range(times):
            try:
                self.send(piece)
            except ConnectionError:
                return sent
            time.sleep(every_s)
        return times

    def answer(self):
        """Read one answer: status, headers, body."""
        file = self.socket.makefile("rb")
        line = file.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        headers = {}
        while row := file.readline().decode().strip():
            name, _, value = row.partition(": ")
            headers[name.lower()] = value
        return int(line.split()[1]), headers, file.read(int(headers.get("content-length", 0)))

    def ended(self):
        """Tell whether the server has closed: nothing more comes."""
        with suppress(ConnectionError):
            return self.socket.recv(1) == b""
        return True


def refused(client, status):
    got, headers, content = client.answer()
    assert got == status, content
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert json.loads(content)["status"] == status
    return headers, json.loads(content)["detail"]


LARGE = b'{"query": "' + b"x" * 2_400_000 + b'"}'


@pytest.mark.parametrize(("size", "times"), [(2_400_000, 20), (30_000_000, 5)])
@pytest.mark.parametrize("lines", [[], ["Connection: close"], ["Expect: 100-continue"]])
def test_a_body_that_is_too_large_gets_its_413_whatever_is_still_sent(server, lines, size, times):
    content = b"x" * size
    for _ in range(times):
        with Client(server) as client:
            client.send(post(SEARCH, size, *lines))
            client.send(content)
            _, detail = refused(client, 413)
            assert "larger than" in detail


def test_and_so_by_httpx(server):
    for _ in range(20):
        sent = {"content": LARGE, "headers": {"x-api-key": KEY, "content-type": "application/json"}, "timeout": 60}
        assert httpx.post(server.url + SEARCH, **sent).status_code == 413
    with httpx.Client(headers={"x-api-key": KEY}, timeout=60) as http:
        files = {"files": ("a.txt", b"x" * 4_000_000)}
        for _ in range(5):
            assert http.post(server.url + UPLOAD, files=files).status_code == 413
            assert http.post(server.url + SEARCH, content=LARGE).status_code == 413
            assert http.get(server.url + "/health/live").status_code == 200


@pytest.mark.parametrize("lines", [[], ["Connection: close"]])
def test_without_a_length_too(server, lines):
    for path, size in ((SEARCH, 2_400_000), (UPLOAD, 4_000_000)):
        chunked = ["Transfer-Encoding: chunked", f"X-API-Key: {KEY}", "Content-Type: multipart/form-data; boundary=b"]
        start = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'
        if path == SEARCH:
            chunked[2], start = "Content-Type: application/json", b'{"query": "'
        with Client(server) as client:
            client.send(head("POST", path, *chunked, *lines))
            for piece in (start, *[b"x" * 50_000] * (size // 50_000)):
                client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            client.send(b"0\r\n\r\n")
            refused(client, 413)


def test_whoever_asks_before_sending_is_told_at_once(server):
    with Client(server) as client:
        client.send(post(SEARCH, len(LARGE), "Expect: 100-continue"))
        headers, _ = refused(client, 413)
        assert headers["connection"] == "close"  # or the next request would be taken for the body
        assert client.ended()
    small = b'{"nope": "x"}'
    with Client(server) as client:
        client.send(post(SEARCH, len(small), "Expect: 100-continue"))
        assert client.socket.recv(100).startswith(b"HTTP/1.1 100 Continue")
        client.send(small)
        assert client.answer()[0] == 422


@pytest.mark.parametrize("path", [SEARCH, UPLOAD, "/no/such/path", "/health/live"])
def test_other_answers_before_the_body_arrive_as_well(server, path):
    for _ in range(5):
        with Client(server) as client:
            client.send(head("POST", path, "Content-Type: application/json", "Content-Length: 1900000"))
            client.send(b"x" * 1_900_000)
            assert client.answer()[0] == {SEARCH: 401, UPLOAD: 401, "/no/such/path": 404, "/health/live": 405}[path]
            client.send(head("GET", "/health/live"))  # and the connection can be used again
            assert client.answer()[0] == 200


def test_what_is_left_of_a_body_is_taken_in_up_to_a_bound(server, monkeypatch):
    monkeypatch.setattr(protocol, "DRAIN_BYTES", 1_000_000)
    for lines in ([], ["Connection: close"]):
        with Client(server) as client:
            client.send(post(SEARCH, 10**12, *lines))
            assert client.flood(b"x" * 100_000, 5000) < 5000


@pytest.mark.parametrize("lines", [[], ["Connection: close"]])
def test_and_for_a_while(server, monkeypatch, lines):
    monkeypatch.setattr(protocol, "DRAIN_IDLE_S", 0.2)
    with Client(server) as client:
        client.send(post(SEARCH, len(LARGE), *lines))
        refused(client, 413)
        assert client.ended()
    monkeypatch.setattr(protocol, "DRAIN_S", 0.3)
    with Client(server) as client:
        client.send(post(SEARCH, 10**12, *lines))
        assert client.flood(b"x", 600, every_s=0.05) < 600


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([head("GET", "/health/live", "X-Long: " + "x" * 70_000)], 431),
        ([head("GET", "/health/live", *[f"X-{n}: x" for n in range(150)])], 431),
        ([head("GET", "/health/live", *[f"X-{n}: {'x' * 1000}" for n in range(90)])], 431),
        ([head("GET", "/health/live?q=" + "x" * 9000)], 414),
        ([head("GET", "/" + "x" * 9000)], 414),
        ([b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ", *[b"x" * 100_000] * 2000], 431),
        ([b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n", *[b"X-Some: " + b"x" * 9000 + b"\r\n"] * 20_000], 431),
        ([b"GET /", *[b"x" * 100_000] * 2000], 414),
        ([b"x" * 200_000], 400),
        ([b"\r\n" * 200_000], 431),
        ([head("POST", SEARCH, "Content-Length: 5", "Transfer-Encoding: chunked")], 400),
        ([head("POST", SEARCH, "Content-Length: -5")], 400),
        ([b"NONSENSE\r\n\r\n"], 400),
    ],
    ids=[
        "one long header", "many headers", "long headers", "long query", "long path", "endless header",
        "endless headers", "endless url", "no http", "empty lines", "two lengths", "negative", "nonsense",
    ],
)  # fmt: skip
def test_a_head_is_bounded_before_anybody_is_asked_who_he_is(server, pieces, status):
    with Client(server) as client:
        with suppress(ConnectionError):  # it may be closed while the last of it is sent
            for piece in pieces[:700]:  # 70 MB: less than is taken in behind an answer
                client.send(piece)
        refused(client, status)
        assert client.ended()


def test_ordinary_heads_are_taken(server):
    with Client(server) as client:
        for _ in range(3):
            client.send(head("GET", "/health/live?q=" + "x" * 7000, *[f"X-{n}: {'x' * 500}" for n in range(80)]))
            assert client.answer()[0] == 200


def test_what_stands_behind_a_chunked_body_is_no_header_and_is_bounded(server):
    start = head("POST", SEARCH, "Transfer-Encoding: chunked", "Content-Type: application/json")
    with Client(server) as client:
        client.send(start + b"2\r\n{}\r\n0\r\n" + f"X-API-Key: {KEY}\r\n\r\n".encode())
        assert client.answer()[0] == 401
        client.send(head("GET", "/health/live"))
        assert client.answer()[0] == 200
    with Client(server) as client:
        client.send(start + b"2\r\n{}\r\n0\r\nX-Long: ")
        assert client.flood(b"x" * 100_000, 10_000) < 10_000


def test_a_head_that_does_not_come_is_given_up(server, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_S", 0.3)
    with Client(server) as client:
        client.send(b"GET /health/live HTTP/1.1\r\nHost: 127")
        _, detail = refused(client, 408)
        assert "did not arrive" in detail
        assert client.ended()
    with Client(server) as client:  # a second one on the connection
        client.send(head("GET", "/health/live"))
        assert client.answer()[0] == 200
        client.send(b"GET /health/live HTT")
        refused(client, 408)
    with Client(server) as client:
        assert client.ended()  # nothing was asked, so nothing is said


def test_a_body_that_does_not_come_is_given_up(server, monkeypatch):
    monkeypatch.setattr(body, "IDLE_S", 0.3)
    kinds = {SEARCH: "application/json", "/ask": "application/json"}
    for path, kind in kinds.items():
        for lines in (["Content-Length: 1000"], ["Transfer-Encoding: chunked"]):
            with Client(server) as client:
                client.send(head("POST", path, f"X-API-Key: {KEY}", f"Content-Type: {kind}", *lines) + b"2\r\n{}")
                headers, detail = refused(client, 408)
                assert headers["connection"] == "close"
                assert headers["x-request-id"]
                assert "did not come in time" in detail
                assert client.ended()


def test_a_body_by_the_byte_is_given_up(server, monkeypatch):
    monkeypatch.setattr(body, "IDLE_S", 0.5)
    with Client(server) as client:
        client.send(post(SEARCH, 1000))
        client.flood(b"x", 40, every_s=0.05)
        refused(client, 408)


def test_a_slow_one_that_goes_on_is_taken(server, monkeypatch):
    monkeypatch.setattr(body, "IDLE_S", 2.0)
    content = b'{"query": "' + b"x" * 5000 + b'", "nope": 1}'
    with Client(server) as client:
        client.send(post(SEARCH, len(content)))
        for at in range(0, len(content), 500):
            client.send(content[at : at + 500])
            time.sleep(0.02)
        assert client.answer()[0] == 422


def test_a_client_that_goes_away_is_no_error(server):
    for path, start in ((SEARCH, b'{"query"'), (UPLOAD, b'{"documents"'), ("/ask", b"{")):
        with capture_logs() as logs:
            with Client(server) as client:
                client.send(post(path, 1000) + start)
            deadline = time.monotonic() + 20
            while not (asked := [row for row in logs if row["event"] == "request"]):
                assert time.monotonic() < deadline
                time.sleep(0.01)
        assert [row["event"] for row in logs if row["log_level"] in {"error", "warning"}] == []
        assert [row["status"] for row in asked] == [499]


def test_requests_in_a_row_and_at_once_on_a_connection(server):
    small = b'{"nope": "x"}'
    with Client(server) as client:
        client.send((head("GET", "/health/live") + post(SEARCH, len(small)) + small) * 3)
        file_statuses = []
        data = b""
        while data.count(b"HTTP/1.1 ") < 6 or not data.endswith(b"}"):
            data += client.socket.recv(65536)
        file_statuses = [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]]
        assert file_statuses == [200, 422] * 3


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://127.0.0.1/health/live", "127.0.0.1", 200),
        ("http://127.0.0.1/health/live", "evil.example", 421),
        ("http://evil.example/health/live", "testserver", 421),
        ("http://testserver/health/live", "testserver", 200),
    ],
)
def test_the_host_of_a_whole_address_counts(server, target, host, status):
    expected = 200 if target == "http://127.0.0.1/health/live" else status
    with Client(server) as client:
        client.send(head("GET", target, host=host))
        assert client.answer()[0] == expected


BUNDLE = "/docs/lib/swagger-ui-bundle.js"
"""A megabyte and a half."""


def test_a_client_that_takes_nothing_in_is_left_alone(server, monkeypatch):
    monkeypatch.setattr(protocol, "SEND_S", 0.3)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.connect(("127.0.0.1", server.port))
        client.sendall(head("GET", BUNDLE) * 20)
        until(lambda: server.connections() == 0)


def test_one_that_is_slow_gets_all(server, monkeypatch):
    monkeypatch.setattr(protocol, "SEND_S", 0.5)
    with Client(server) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send(head("GET", BUNDLE, "Connection: keep-alive") * 9 + head("GET", BUNDLE, "Connection: close"))
        taken = 0
        while piece := client.socket.recv(500_000):
            taken += len(piece)
            time.sleep(0.02)
    assert taken > 10 * 1_500_000


def test_no_connection_is_left(server):
    until(lambda: server.connections() == 0)
