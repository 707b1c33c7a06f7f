"""Sending, against a server of the test's own that can refuse, die and count what it was sent."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from elasticsearch import Elasticsearch

import bothways.indexer.bulk
from bothways.core.errors import ElasticsearchError, ElasticsearchUnavailableError
from bothways.indexer.bulk import REQUESTS, bulk

CHUNK = 10


class Refusing(ThreadingHTTPServer):
    """Answers `_bulk` like Elasticsearch; `answer(action_id, times_sent)` gives each item's status, None hangs up."""

    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), _Bulk)
        self.answer = answer
        self.sent = Counter()
        self.took = set()
        self.lock = threading.Lock()


class _Bulk(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        server = self.server
        lines = self.rfile.read(int(self.headers["content-length"])).splitlines()
        ids = [json.loads(line)["index"]["_id"] for line in lines[::2]]
        with server.lock:
            server.sent.update(ids)
            statuses = [server.answer(item, server.sent[item]) for item in ids]
            if None in statuses:
                self.close_connection = True
                return
            server.took.update(item for item, status in zip(ids, statuses, strict=True) if status < 300)
        items = [
            {"index": {"_id": item, "status": status} | ({"error": {"reason": f"is {status}"}} if status > 299 else {})}
            for item, status in zip(ids, statuses, strict=True)
        ]
        body = json.dumps({"errors": True, "items": items}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/vnd.elasticsearch+json;compatible-with=9")
        self.send_header("x-elastic-product", "Elasticsearch")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def serving(monkeypatch):
    """Start such a server: `serving(answer)` gives it and a client."""
    monkeypatch.setattr(bothways.indexer.bulk, "FIRST_WAIT_S", 0.001)
    running = []

    def start(answer):
        server = Refusing(answer)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = Elasticsearch(f"http://127.0.0.1:{server.server_address[1]}", max_retries=0)
        running.append((server, thread, client))
        return server, client

    yield start
    for server, thread, client in running:
        client.close()
        server.shutdown()
        thread.join()
        server.server_close()


def actions(count):
    return ({"_op_type": "index", "_index": "x", "_id": str(number), "text": "a"} for number in range(count))


def test_everything_is_sent_once_over_several_requests(serving):
    server, client = serving(lambda *_: 201)
    taken = []
    report = bulk(client, actions(105), chunk_size=CHUNK, on_ok=taken.append)
    assert (report.ok, report.failures) == (105, [])
    assert sorted(taken) == sorted(server.took)
    assert set(server.sent.values()) == {1}


def test_what_is_rejected_is_sent_again_and_only_that(serving):
    server, client = serving(lambda item, times: 429 if int(item) % 7 == 0 and times < 3 else 201)
    report = bulk(client, actions(50), chunk_size=CHUNK)
    assert (report.ok, report.failures) == (50, [])
    assert {item for item, times in server.sent.items() if times == 3} == {"0", "7", "14", "21", "28", "35", "42", "49"}
    assert sum(server.sent.values()) == 50 + 2 * 8


def test_what_is_rejected_for_ever_is_a_failure(serving):
    server, client = serving(lambda item, _: 429 if item == "3" else 201)
    report = bulk(client, actions(20), chunk_size=CHUNK)
    assert report.ok == 19
    assert [(failure.item, failure.reason) for failure in report.failures] == [("3", "is 429")]
    assert server.sent["3"] == 6


def test_a_server_that_dies_leaves_an_exact_count(serving):
    server, client = serving(lambda item, _: None if int(item) >= 200 else 201)
    taken = []
    with pytest.raises(ElasticsearchUnavailableError, match="cannot be reached while sending chunks"):
        bulk(client, actions(10_000), chunk_size=CHUNK, on_ok=taken.append)
    assert set(taken) == server.took == {str(number) for number in range(200)}
    assert len(server.sent) <= 200 + (REQUESTS + 1) * CHUNK


def test_ctrl_c_while_reading_counts_what_was_sent(serving):
    server, client = serving(lambda *_: 201)
    taken = []

    def cut_off():
        yield from actions(95)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bulk(client, cut_off(), chunk_size=CHUNK, on_ok=taken.append)
    assert set(taken) == server.took
    assert [thread for thread in threading.enumerate() if thread.name.startswith("bulk")] == []


def test_an_error_in_progress_ends_the_sending(serving):
    _, client = serving(lambda *_: 201)

    def cancel():
        raise ElasticsearchError("cancelled by somebody")

    with pytest.raises(ElasticsearchError, match="cancelled by somebody"):
        bulk(client, actions(1000), chunk_size=CHUNK, progress=cancel)


def test_no_more_is_pulled_than_is_being_sent(serving):
    release = threading.Event()

    def answer(*_):
        assert release.wait(10)
        return 201

    _, client = serving(answer)
    pulled = []

    def counted():
        for action in actions(1000):
            pulled.append(action)
            if len(pulled) == (REQUESTS + 1) * CHUNK:
                threading.Timer(0.05, release.set).start()
            assert release.is_set() or len(pulled) <= (REQUESTS + 1) * CHUNK
            yield action

    assert bulk(client, counted(), chunk_size=CHUNK).ok == 1000
