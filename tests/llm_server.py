"""A real server that speaks the OpenAI protocol and answers as a test tells it to."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler

from tests.http_server import LocalServer


def completion(content, finish_reason="stop", **message):
    choice = {
        "index": 0,
        "finish_reason": finish_reason,
        "message": {"role": "assistant", "content": content, **message},
    }
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


class Scripted(LocalServer):
    """A real server on a free port: answers requests from a list of (status, body[, headers]); the last one stays."""

    def __init__(self):
        self.script = []
        self.requests = []
        self.keys = []
        self.models = [{"id": "first", "object": "model"}, {"id": "second", "object": "model"}]
        self.models_asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.models_asked += 1
                self.reply(200, {"object": "list", "data": outer.models})

            def do_POST(self):
                outer.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                outer.keys.append(self.headers["Authorization"])
                step = outer.script.pop(0) if len(outer.script) > 1 else outer.script[0]
                step = step(outer.requests[-1]) if callable(step) else step
                if step == "hang":
                    outer.release.wait(10)
                    self.close_connection = True
                    return
                self.reply(*step)

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
