"""One request to an application without a server between: what was answered, and what was asked of the client."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Answered:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    received: int = 0
    """How often the application asked for a piece of the request's body."""


def request(app, method, path, *, headers=(), pieces=(b"",), host="127.0.0.1"):
    """Send a request whose body comes in pieces; after them the client waits for the answer."""
    answered = Answered()
    sent = [*([("host", host)] if host else []), *headers]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    done = asyncio.Event()

    async def receive():
        answered.received += 1
        if answered.received <= len(pieces):
            piece = pieces[answered.received - 1]
            if isinstance(piece, BaseException):
                raise piece
            return {"type": "http.request", "body": piece, "more_body": answered.received < len(pieces)}
        await done.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.start":
            answered.status = message["status"]
            answered.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            answered.body += message.get("body", b"")
            if not message.get("more_body"):
                done.set()

    asyncio.run(app(scope, receive, send))
    return answered
