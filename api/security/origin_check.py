"""Keep web pages of other origins out of every route, and let allowed ones in (bothways/client/origins.py; CORS)."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bothways.api.problems import problem
from bothways.client.origins import ANY, Origins, preflight
from bothways.core.settings import Settings

PAGES = ("/", "/console", "/docs", "/redoc")
"""What links of other sites may lead to."""

_MAX_AGE_S = 600
_ALLOWED = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-API-Key, X-Request-ID",
    "Access-Control-Max-Age": str(_MAX_AGE_S),
}
_EXPOSED = "Location, Retry-After, X-Request-ID"


def origins_of(settings: Settings) -> Origins:
    """Return what the settings allow.

    The name is checked unless keys are set: a page that made its own name point here has no key. Where
    BOTHWAYS_ALLOWED_HOSTS is set it is checked all the same.
    """
    has_keys = bool(settings.api_keys or settings.api_keys_file)
    any_host = (ANY,) if has_keys and not settings.allowed_hosts else ()
    return Origins(
        hosts=(settings.host, *settings.allowed_hosts, *any_host),
        origins=settings.cors_origins,
        pages=PAGES,
        settings="BOTHWAYS_ALLOWED_HOSTS, BOTHWAYS_CORS_ORIGINS",
    )


class OriginCheck:
    """Answers 421 to unknown names, 403 to pages of elsewhere, and what the pages of allowed origins ask before."""

    def __init__(self, app: ASGIApp, *, origins: Origins) -> None:
        self.app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._origins.refusal(scope)
        if refusal is not None:
            await problem(Request(scope), refusal.status, refusal.detail)(scope, receive, send)
        elif self._origins.has_origins:
            await self._shared(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _shared(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request that may come from a page of an allowed origin."""
        is_preflight, origin = preflight(scope)
        if origin is None or not self._origins.allows(origin):
            await self.app(scope, receive, _with_headers(send, {"Vary": "Origin"}))
            return
        shared = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if is_preflight:
            # The page is on the web and we may be on a private network: browsers want to know that this is meant.
            answer = Response(
                status_code=204, headers={**shared, **_ALLOWED, "Access-Control-Allow-Private-Network": "true"}
            )
            await answer(scope, receive, send)
        else:
            await self.app(scope, receive, _with_headers(send, {**shared, "Access-Control-Expose-Headers": _EXPOSED}))


def _with_headers(send: Send, headers: dict[str, str]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return sending
