"""Around every request: its id, its size, how long it took. Plain ASGI, since it is on the hot path."""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem

log = structlog.get_logger()

REQUESTS = Counter("bothways_http_requests", "HTTP requests", ["path", "method", "status"])
SECONDS = Histogram("bothways_http_request_seconds", "Time to answer", ["path"])
_UPLOAD = re.compile(r"/api/v1/collections/[^/]+/documents")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a request's body may be, in MB: of an upload, and of all others."""

    max_body_mb: float
    max_upload_mb: float


@dataclass(frozen=True, slots=True)
class _Limit:
    """The limit that holds for one request."""

    mb: float
    setting: str

    @property
    def size(self) -> int:
        return int(self.mb * 1_000_000)

    @property
    def message(self) -> str:
        return f"The request is larger than {self.mb:g} MB ({self.setting})."


class RequestContext:
    """Echoes or makes `X-Request-ID`, refuses bodies over their limit with 413, counts and times."""

    def __init__(self, app: ASGIApp, *, limits: Limits) -> None:
        self.app = app
        self._body = _Limit(limits.max_body_mb, "BOTHWAYS_MAX_BODY_MB")
        self._upload = _Limit(limits.max_upload_mb, "BOTHWAYS_MAX_UPLOAD_MB")

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
        limit = self._upload if scope["method"] == "POST" and _UPLOAD.fullmatch(scope["path"]) else self._body
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > limit.size:
            await problem(Request(scope), 413, limit.message)(scope, receive, send)
        elif length.isdigit():
            await self.app(scope, receive, send)
        else:
            await self.app(scope, _counting(receive, limit), send)


def _counting(receive: Receive, limit: _Limit) -> Receive:
    """Count a body that did not say its length while a route reads it; raise 413 there where it is too large."""
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit.size:
            raise HTTPException(413, limit.message)
        return message

    return counted


def _count(scope: Scope, status: int, seconds: float) -> None:
    route = scope.get("route")
    # The matched route and not the path as sent, so that names in it make no new time series.
    path = getattr(route, "path", "none")
    if scope["path"].startswith("/api/v1") and not path.startswith("/api/v1"):
        path = f"/api/v1{path}"
    REQUESTS.labels(path, scope["method"], status).inc()
    SECONDS.labels(path).observe(seconds)
