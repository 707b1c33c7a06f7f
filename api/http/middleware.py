"""Around every request: its id, the headers of its answer, how long it took. Plain ASGI, as it is on the hot path."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Iterable

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bothways.api.problems import problem

log = structlog.get_logger()

REQUESTS = Counter("bothways_http_requests", "HTTP requests", ["path", "method", "status"])
SECONDS = Histogram("bothways_http_request_seconds", "Time to answer", ["path"])
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that are counted by name; HTTP takes any word for one, and each would be a time series that stays."""

CLIENT_LEFT = 499
"""nginx's number for a client that closed the connection; nobody reads it but the log."""

ALWAYS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""Headers of every answer that has none of its own by that name. An answer of the API is no page and is not kept."""


class RequestContext:
    """Echoes or makes `X-Request-ID`, adds the headers above, counts and times, and has the last word on errors."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        started = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*_with_always(message["headers"]), (b"x-request-id", request_id.encode())]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_headers)
            except ClientDisconnect:
                status = CLIENT_LEFT
            except asyncio.CancelledError:
                # The server ends and has waited as long as it does (api/http/ending.py); nobody else cancels a request.
                log.warning("cut_off_by_the_end", path=scope["path"])
                if not status:
                    detail = "The server is about to end and did not finish this: send it again in a moment."
                    again = {"Retry-After": "5"}
                    await problem(Request(scope), 503, detail, headers=again)(scope, receive, send_with_headers)
            except Exception as error:
                log.exception("unforeseen_error", path=scope["path"], kind=type(error).__name__)
                if not status:
                    detail = "Something failed that should not have; the server's log has it."
                    await problem(Request(scope), 500, detail)(scope, receive, send_with_headers)
            if scope.get("state", {}).get("client_left"):
                status = CLIENT_LEFT
            seconds = time.perf_counter() - started
            _count(scope, status, seconds)
            log.info("request", method=scope["method"], path=scope["path"], status=status, ms=round(1000 * seconds, 1))


def _with_always(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    found = list(headers)
    names = {name.lower() for name, _ in found}
    return [*found, *(header for header in ALWAYS if header[0] not in names)]


def _count(scope: Scope, status: int, seconds: float) -> None:
    route = scope.get("route")
    # The matched route and not the path as sent, so that names in it make no new time series.
    path = getattr(route, "path", "none")
    if scope["path"].startswith("/api/v1") and not path.startswith("/api/v1"):
        path = f"/api/v1{path}"
    method = scope["method"] if scope["method"] in _METHODS else "other"
    REQUESTS.labels(path, method, status).inc()
    SECONDS.labels(path).observe(seconds)
