"""Around every request: its id, its size, how long it took. Plain ASGI, since it is on the hot path."""

from __future__ import annotations

import re
import time
import uuid

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem

log = structlog.get_logger()

REQUESTS = Counter("bothways_http_requests", "HTTP requests", ["path", "method", "status"])
SECONDS = Histogram("bothways_http_request_seconds", "Time to answer", ["path"])
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestContext:
    """Echoes or makes `X-Request-ID`, refuses bodies over `max_body` bytes with 413, counts and times."""

    def __init__(self, app: ASGIApp, *, max_body: int) -> None:
        self.app = app
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        started = time.perf_counter()
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._limited(scope, receive, send_with_id, headers)
            except Exception as error:
                log.exception("unforeseen_error", path=scope["path"], kind=type(error).__name__)
                answer = problem(Request(scope), 500, "Something failed that should not have; the server's log has it.")
                await answer(scope, receive, send_with_id)
            seconds = time.perf_counter() - started
            _count(scope, status, seconds)
            log.info("request", method=scope["method"], path=scope["path"], status=status, ms=round(1000 * seconds, 1))

    async def _limited(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self.max_body:
            await self._refuse(scope, receive, send)
            return
        if length.isdigit():
            await self.app(scope, receive, send)
            return
        messages = await self._body(receive)
        if messages is None:
            await self._refuse(scope, receive, send)
            return

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self.app(scope, replay, send)

    async def _body(self, receive: Receive) -> list[Message] | None:
        """Take in a body that did not say its length; None when it is larger than allowed."""
        messages: list[Message] = []
        taken = 0
        while True:
            message = await receive()
            messages.append(message)
            taken += len(message.get("body", b""))
            if taken > self.max_body:
                return None
            if not message.get("more_body"):
                return messages

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = f"{self.max_body / 1_000_000:g} MB"
        answer = problem(Request(scope), 413, f"The request is larger than {limit} (BOTHWAYS_MAX_BODY_MB).")
        await answer(scope, receive, send)


def _count(scope: Scope, status: int, seconds: float) -> None:
    route = scope.get("route")
    # The matched route and not the path as sent, so that names in it make no new time series.
    path = getattr(route, "path", "none")
    if scope["path"].startswith("/api/v1") and not path.startswith("/api/v1"):
        path = f"/api/v1{path}"
    REQUESTS.labels(path, scope["method"], status).inc()
    SECONDS.labels(path).observe(seconds)
