"""A real HTTP proxy before Elasticsearch that can hold answers back, break them, or answer with trouble of its own."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

from tests.http_server import LocalServer

TROUBLES = ("429", "503", "502 html", "broken json", "cut off", "reset", "hang")
"""What `Proxy.trouble` may say: overloaded, not all there, a gateway's page, half an answer twice, no answer twice."""


class Proxy(LocalServer):
    """Passes requests on; those whose path holds a text of `hang` are answered only when `release` is set.

    `trouble` is what all requests meet whose method and path `meets` says yes to; `met` counts them.
    """

    def __init__(self, target):
        self.target = target
        self.hang = set()
        self.hung = 0
        self.trouble = ""
        self.meets = lambda _method, _path: True
        self.met = 0
        super().__init__(type("Handler", (_Handler,), {"proxy": self}))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy = None

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        trouble = self.proxy.trouble if self.proxy.trouble and self.proxy.meets(self.command, self.path) else ""
        self.proxy.met += bool(trouble)
        if trouble == "hang" or any(text in self.path for text in self.proxy.hang):
            self.proxy.hung += 1
            self.proxy.release.wait(30)
            self.close_connection = True
        elif trouble == "reset":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif trouble in {"429", "503", "502 html"}:
            self.refuse(trouble)
        else:
            self.pass_on(body, trouble)

    def pass_on(self, body, trouble):
        kept = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}}
        request = urllib.request.Request(self.proxy.target + self.path, body, kept, method=self.command)
        try:
            answer = urllib.request.urlopen(request)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            data = answer.read()
            length = answer.headers.get("Content-Length") if self.command == "HEAD" else None
            half = data[: len(data) // 2]
            if trouble == "broken json":
                data = half
            with suppress(ConnectionError):  # who asked has given up
                self.answer(answer.status, answer.headers, length or str(len(data)))
                if trouble == "cut off":
                    self.close_connection = True
                    data = half
                self.wfile.write(data)

    def refuse(self, trouble):
        status = int(trouble[:3])
        kind = {429: "es_rejected_execution_exception", 503: "no_shard_available_action_exception"}.get(status)
        error = {"type": kind, "reason": f"trouble {status}", "root_cause": []}
        data = json.dumps({"error": error, "status": status}).encode()
        headers = {"Content-Type": "application/json", "X-Elastic-Product": "Elasticsearch"}
        if trouble == "502 html":
            data, headers = b"<html><body>Bad Gateway</body></html>", {"Content-Type": "text/html"}
        self.answer(status, headers, str(len(data)))
        if self.command != "HEAD":
            self.wfile.write(data)

    def answer(self, status, headers, length):
        self.send_response(status)
        for name in ("Content-Type", "X-Elastic-Product"):
            if value := headers.get(name):
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = forward  # noqa: N815

    def log_message(self, *_):
        pass
