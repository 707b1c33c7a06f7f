"""The console: one page of plain HTML, CSS and ES modules in `page/`, served as it is; it calls `/api/v1` like anybody.

Its files hold no data and need no key. The policy below lets the page run its own files only: no inline script, no
other host, and, by Trusted Types, no text that becomes HTML, so that a document cannot become part of the page.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

PAGE = Path(__file__).parent / "page"

_HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",  # asked for again with its ETag, so that an update never meets an old module
}


class _Page(StaticFiles):
    """The files, each with the headers above."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one file."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await super().__call__(scope, receive, with_headers)


def install(app: FastAPI) -> None:
    """Serve the console at `/console/`, and send those there who open the server's address."""

    @app.get("/", include_in_schema=False)
    def to_console() -> RedirectResponse:
        # Relative, so that it holds behind a proxy that serves all of this under a path.
        return RedirectResponse("console/", headers={"Cache-Control": "no-cache"})

    app.mount("/console", _Page(directory=PAGE, html=True), name="console")
