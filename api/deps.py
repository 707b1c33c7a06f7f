"""What routes are given: thin, annotated dependencies."""

from __future__ import annotations

import secrets
from typing import Annotated, cast

from fastapi import Depends, HTTPException, Request

from core.settings import Settings
from indexer.run import Desk
from indexer.uploads import Uploads
from search.pipeline import Searcher


def _searcher(request: Request) -> Searcher:
    return cast("Searcher", request.app.state.searcher())


def _settings(request: Request) -> Settings:
    return cast("Settings", request.app.state.settings)


def require_key(request: Request) -> None:
    """Let a request in that brings one of `BOTHWAYS_API_KEYS` as a bearer token or `X-API-Key`, if any are set."""
    keys = _settings(request).api_keys
    if not keys:
        return
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
    # Every key is compared in full, so that time tells nothing.
    matches = [secrets.compare_digest(given.encode(), key.get_secret_value().encode()) for key in keys]
    if not any(matches):
        raise HTTPException(
            401,
            "Bring one of the server's API keys as a bearer token or in X-API-Key.",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _desk(request: Request) -> Desk:
    return cast("Desk", request.app.state.desk())


def _uploads(request: Request) -> Uploads:
    return cast("Uploads", request.app.state.uploads)


SearcherDep = Annotated[Searcher, Depends(_searcher)]
SettingsDep = Annotated[Settings, Depends(_settings)]
DeskDep = Annotated[Desk, Depends(_desk)]
UploadsDep = Annotated[Uploads, Depends(_uploads)]
