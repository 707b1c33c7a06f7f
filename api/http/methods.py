"""HEAD, OPTIONS and 405 as HTTP has them: FastAPI knows a path's methods one route at a time."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_VARIABLE = re.compile(r"\\\{(\w+)\\\}")


class Methods:
    """Answers HEAD as GET without its body, OPTIONS with what a path takes, and says so in `Allow` of every 405.

    What a path takes is read off the OpenAPI description; other paths (pages, `/metrics`) answer by themselves.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._allowed: list[tuple[re.Pattern[str], str]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        method = scope["method"] if scope["type"] == "http" else ""
        if method == "HEAD":
            inner = {**scope, "method": "GET"}
            await self.app(inner, receive, partial(self._without_body, scope, send))
            if "route" in inner:
                scope["route"] = inner["route"]  # requests are counted by it
        elif method == "OPTIONS" and (allowed := self._of(scope)):
            await Response(status_code=204, headers={"Allow": allowed})(scope, receive, send)
        else:
            await self.app(scope, receive, partial(self._with_allow, scope, send))

    async def _without_body(self, scope: Scope, send: Send, message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._with_allow(scope, send, message)

    async def _with_allow(self, scope: Scope, send: Send, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 405 and (allowed := self._of(scope)):
            MutableHeaders(scope=message)["Allow"] = allowed
        await send(message)

    def _of(self, scope: Scope) -> str:
        """Return the methods that a path takes, by commas; "" for one that the description does not have."""
        if self._allowed is None:
            self._allowed = [_allowed(path, methods) for path, methods in scope["app"].openapi()["paths"].items()]
        return next((allowed for pattern, allowed in self._allowed if pattern.fullmatch(scope["path"])), "")


def _allowed(path: str, methods: dict[str, Any]) -> tuple[re.Pattern[str], str]:
    # The id of a document may have slashes in it; no other part of a path has.
    pattern = _VARIABLE.sub(lambda found: ".*" if found[1] == "doc_id" else "[^/]+", re.escape(path))
    taken = {method.upper() for method in methods}
    return re.compile(pattern, re.DOTALL), ", ".join(sorted(taken | ({"HEAD"} if "GET" in taken else set())))
