"""A real server that speaks the OpenAI protocol and answers as a test tells it to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from tests.http_server import LocalServer


def completion(content, finish_reason="stop", **message):
    choice = {
        "index": 0,
        "finish_reason": finish_reason,
        "message": {"role": "assistant", "content": content, **message},
    }
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


@dataclass(frozen=True)
class Streamed:
    """An answer in pieces, `gap_s` seconds before each. `end` None: the connection is lost after the last one."""

    pieces: tuple[str, ...]
    gap_s: float = 0.0
    end: str | None = "stop"

    def rows(self):
        for piece in self.pieces:
            yield piece, None
        if self.end:
            yield None, self.end


@dataclass(frozen=True, kw_only=True)
class Raw:
    """Bytes as they are, piece by piece, to the end of `pieces()` or until the reader leaves."""

    pieces: Callable[[], Iterable[bytes]]
    content_type: str = "application/json"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Scripted(LocalServer):
    """A real server on a free port: answers requests from a list of (status, body[, headers]); the last one stays.

    A step may be `Raw`, too, or `Streamed`, which a request without `stream` gets as a whole. `sent` counts the bytes
    of `Raw` that went out; `/models` answers by `listing` where that is set. `writing` counts the streams that are
    being written, `cut` those whose reader left; `first_pieces` has the times at which each one's first piece went out.
    """

    def __init__(self):
        self.writing = 0
        self.cut = 0
        self.first_pieces = []
        self.lock = threading.Lock()
        self.script = []
        self.requests = []
        self.keys = []
        self.models = [{"id": "first", "object": "model"}, {"id": "second", "object": "model"}]
        self.models_asked = 0
        self.listing = None
        self.sent = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.models_asked += 1
                if isinstance(outer.listing, Raw):
                    outer.pour(self, outer.listing)
                    return
                self.reply(200, {"object": "list", "data": outer.models})

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append(asked)
                outer.keys.append(self.headers["Authorization"])
                step = outer.script.pop(0) if len(outer.script) > 1 else outer.script[0]
                outer.answer(self, asked, step(asked) if callable(step) else step)

            def reply(self, status, body, headers=None):
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        super().__init__(Handler)
        self.url += "/v1"

    def answer(self, handler, asked, step):
        """Answer one request."""
        if step == "hang":
            self.release.wait(10)
            handler.close_connection = True
        elif isinstance(step, Raw):
            self.pour(handler, step)
        elif not isinstance(step, Streamed):
            handler.reply(*step)
        elif asked.get("stream"):
            self.stream(handler, step)
        else:
            handler.reply(200, completion("".join(step.pieces), step.end or "length"))

    def pour(self, handler, step):
        """Write bytes as they are, as far as their reader stays."""
        handler.close_connection = True
        handler.send_response(step.status)
        handler.send_header("Content-Type", step.content_type)
        for name, value in step.headers:
            handler.send_header(name, value)
        handler.end_headers()
        try:
            for piece in step.pieces():
                if self.release.is_set():
                    return
                handler.wfile.write(piece)
                self.sent += len(piece)
        except OSError:
            with self.lock:
                self.cut += 1

    def stream(self, handler, step):
        """Write a streamed answer, as far as its reader stays."""
        handler.close_connection = True
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        with self.lock:
            self.writing += 1
        try:
            for number, (piece, end) in enumerate(step.rows()):
                self.release.wait(step.gap_s)
                choice = {"index": 0, "delta": {"content": piece} if piece else {}, "finish_reason": end}
                chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
                if number == 0:
                    self.first_pieces.append(time.perf_counter())
                handler.wfile.write(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())
            if step.end:
                handler.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            with self.lock:
                self.cut += 1
        finally:
            with self.lock:
                self.writing -= 1
