"""The body of a request on its way in: how large it may be, and how slow."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bothways.api.http.ending import Ending
from bothways.api.problems import problem
from bothways.core.errors import ServerEndingError

IDLE_S = 30.0
"""A client that sends nothing of its body for so long is answered 408."""

BYTES_PER_S = 500
"""What a body has to bring, after the first half minute, for each second that we waited for it (as Apache has it)."""

_UPLOAD = re.compile(r"/api/v1/collections/[^/]+/documents")


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a request's body may be, in MB: of an upload, and of all others."""

    max_body_mb: float
    max_upload_mb: float


@dataclass(frozen=True, slots=True)
class _Limit:
    """The limit that holds for one request."""

    mb: float
    setting: str = ""

    @property
    def size(self) -> int:
        return int(self.mb * 1_000_000)

    @property
    def message(self) -> str:
        return f"The request is larger than {self.mb:g} MB{self.setting}."


class BoundedBody:
    """Answers 413 to bodies that are too large and 408 to those that do not come; nothing is taken in beforehand.

    Marks the request of a client that left before its body was complete by `client_left` in its state.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits, ending: Ending) -> None:
        self.app = app
        self._body = _Limit(limits.max_body_mb)
        self._upload = _Limit(limits.max_upload_mb, " (BOTHWAYS_MAX_UPLOAD_MB)")
        self._ending = ending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._upload if scope["method"] == "POST" and _UPLOAD.fullmatch(scope["path"]) else self._body
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and (len(length) > 18 or int(length) > limit.size):
            await problem(Request(scope), 413, limit.message)(scope, receive, send)
        else:
            body = _Incoming(scope, receive, limit, self._ending)
            await self.app(scope, body.receive, send)


class _Incoming:
    """One body; what a route is given to receive it by."""

    __slots__ = ("_complete", "_ending", "_limit", "_receive", "_scope", "_taken", "_waited_s")

    def __init__(self, scope: Scope, receive: Receive, limit: _Limit, ending: Ending) -> None:
        self._scope = scope
        self._receive = receive
        self._limit = limit
        self._ending = ending
        self._taken = 0
        self._waited_s = 0.0
        self._complete = False

    async def receive(self) -> Message:
        """Return the next piece; raises 413 and 408, and 503 where the server ends meanwhile."""
        if self._complete:
            return await self._receive()
        message = await self._in_time()
        if message["type"] == "http.disconnect":
            self._complete = True
            self._scope.setdefault("state", {})["client_left"] = True
            return message
        self._taken += len(message.get("body", b""))
        if self._taken > self._limit.size:
            raise HTTPException(413, self._limit.message)
        self._complete = not message.get("more_body", False)
        return message

    async def _in_time(self) -> Message:
        """Wait for a piece. The time that we take for the pieces before counts for nothing, only that of the client."""
        allowed = min(IDLE_S, IDLE_S + self._taken / BYTES_PER_S - self._waited_s)
        started = time.monotonic()
        try:
            async with self._ending.within(max(allowed, 0.0)):
                message = await self._receive()
        except TimeoutError as error:
            detail = "The body of the request did not come in time: send it again, faster or in smaller parts."
            raise HTTPException(408, detail, headers={"Connection": "close"}) from error
        except ServerEndingError as error:
            headers = {"Connection": "close", "Retry-After": str(error.retry_after_s)}
            raise HTTPException(503, str(error), headers=headers) from error
        self._waited_s += time.monotonic() - started
        return message
