"""A real HTTP proxy before Elasticsearch whose answers can be held back, as by a node that hangs."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler

from tests.http_server import LocalServer


class Proxy(LocalServer):
    """Passes requests on; those whose path holds a text of `hang` are answered only when `release` is set."""

    def __init__(self, target):
        self.hang = set()
        self.hung = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
                if any(text in self.path for text in outer.hang):
                    outer.hung += 1
                    outer.release.wait(30)
                    self.close_connection = True
                    return
                kept = {
                    name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}
                }
                request = urllib.request.Request(target + self.path, body, kept, method=self.command)
                try:
                    answer = urllib.request.urlopen(request)
                except urllib.error.HTTPError as error:
                    answer = error
                with answer:
                    data = answer.read()
                    self.send_response(answer.status)
                    for name in ("Content-Type", "X-Elastic-Product"):
                        if value := answer.headers.get(name):
                            self.send_header(name, value)
                    length = answer.headers.get("Content-Length") if self.command == "HEAD" else None
                    self.send_header("Content-Length", length or str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = forward  # noqa: N815

            def log_message(self, *_):
                pass

        super().__init__(Handler)
