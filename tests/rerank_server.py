"""A real server that speaks the three reranking protocols and answers as a test tells it to."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.http_server import LocalServer


def overlap(query, text):
    """The share of the question's characters that the text has: a relevance between 0 and 1."""
    return len(set(query) & set(text)) / max(1, len(set(query)))


class RerankServer(LocalServer):
    """Answers `/v2/rerank`, `/v1/rerank` and `/rerank` by `overlap`; `answer`, where set, is sent instead.

    `answer` may be a (status, body) pair, a function of the request's body to such a pair, "hang" or "drip".
    """

    def __init__(self):
        self.answer = None
        self.requests = []
        self.paths = []
        self.keys = []
        super().__init__(type("Handler", (Handler,), {"of": self}), Server)

    @staticmethod
    def scored(path, body):
        """Rows best first, as the real ones send them."""
        if path == "/rerank":
            rows = [{"index": at, "score": 4 * overlap(body["query"], t) - 2} for at, t in enumerate(body["texts"])]
            return sorted(rows, key=lambda row: -row["score"])
        rows = [
            {"index": at, "relevance_score": overlap(body["query"], text)} for at, text in enumerate(body["documents"])
        ]
        return {"id": "1", "results": sorted(rows, key=lambda row: -row["relevance_score"]), "meta": {}}

    def wait_for(self, count, within_s=5.0):
        """Wait until so many requests have come."""
        end = time.monotonic() + within_s
        while len(self.requests) < count and time.monotonic() < end:
            time.sleep(0.005)
        assert len(self.requests) >= count


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):  # clients that left
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.of.requests.append(body)
        self.of.paths.append(self.path)
        self.of.keys.append(self.headers["Authorization"])
        answer = self.of.answer(body) if callable(self.of.answer) else self.of.answer
        if answer == "hang":
            self.of.release.wait(10)
            self.close_connection = True
        elif answer == "drip":
            self.drip()
        else:
            self.reply(*(answer or (200, self.of.scored(self.path, body))))

    def drip(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.close_connection = True
        for _ in range(100):
            if self.of.release.wait(0.05):
                return
            try:
                self.wfile.write(b" ")
            except OSError:
                return

    def reply(self, status, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass
