"""`/docs` and `/redoc`: the description of the API in a browser, from files that are installed with us.

FastAPI's own pages load their scripts from a public host: they show nothing where that is out of reach, tell it who
reads them, and run whatever it sends beside the API. Swagger UI and Redoc come in a package here (`fastapi-offline`, of
which nothing but the files is used). Both pages run their own files alone; Redoc writes style sheets, which a number
that is new with each answer lets it do.
"""

from __future__ import annotations

import secrets
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from string import Template

from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response

from bothways.api.pages import HEADERS, Files, policy
from bothways.core.errors import MissingExtraError

_PAGE = Path(__file__).parent / "page"
_OWN = "'self'"
_FILES = {**HEADERS, "Content-Security-Policy": policy()}


def install(app: FastAPI) -> None:
    """Serve both pages and their files; the application is made without FastAPI's own."""
    swagger = (_PAGE / "swagger.html").read_text(encoding="utf-8")
    redoc = Template((_PAGE / "redoc.html").read_text(encoding="utf-8"))

    @app.get("/docs", include_in_schema=False)
    def swagger_page() -> HTMLResponse:
        return _page(swagger, style_src=_OWN)

    @app.get("/redoc", include_in_schema=False)
    def redoc_page() -> HTMLResponse:
        nonce = secrets.token_urlsafe(16)
        return _page(redoc.substitute(nonce=nonce), style_src=f"{_OWN} 'nonce-{nonce}'", worker_src="blob:")

    @app.get("/docs/redoc.js", include_in_schema=False)
    def redoc_script() -> Response:
        return Response(_redoc(), media_type="text/javascript", headers=_FILES)

    app.mount("/docs/page", Files(directory=str(_PAGE), headers=_FILES), name="docs-page")
    app.mount("/docs/lib", Files(packages=[("fastapi_offline", "static")], headers=_FILES), name="docs-lib")


@cache
def _redoc() -> bytes:
    """Return Redoc without the picture that it would fetch from its makers' host."""
    found = find_spec("fastapi_offline")
    if found is None or found.origin is None:
        raise MissingExtraError("The pages of the API's description need: pip install fastapi-offline.")
    script = (Path(found.origin).parent / "static" / "redoc.standalone.js").read_bytes()
    return script.replace(b"https://cdn.redoc.ly/redoc/logo-mini.svg", b"data:,")


def _page(html: str, **sources: str) -> HTMLResponse:
    allowed = policy(script_src=_OWN, img_src="'self' data:", connect_src=_OWN, **sources)
    return HTMLResponse(html, headers={**HEADERS, "Content-Security-Policy": allowed})
