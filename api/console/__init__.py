"""The console: one page of plain HTML, CSS and ES modules in `page/`, served as it is; it calls `/api/v1` like anybody.

Its files hold no data and need no key. The policy below lets the page run its own files only: no inline script, no
other host, and, by Trusted Types, no text that becomes HTML, so that a document cannot become part of the page.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.responses import RedirectResponse

from bothways.api.pages import HEADERS, Files, policy

PAGE = Path(__file__).parent / "page"

_POLICY = policy(
    script_src="'self'",
    style_src="'self'",
    img_src="'self'",
    connect_src="'self'",
    require_trusted_types_for="'script'",
    trusted_types="'none'",
)


def install(app: FastAPI) -> None:
    """Serve the console at `/console/`, and send those there who open the server's address."""

    @app.get("/", include_in_schema=False)
    def to_console() -> RedirectResponse:
        # Relative, so that it holds behind a proxy that serves all of this under a path.
        return RedirectResponse("console/", headers={"Cache-Control": "no-cache"})

    files = Files(directory=str(PAGE), html=True, headers={**HEADERS, "Content-Security-Policy": _POLICY})
    app.mount("/console", files, name="console")
