"""What routes are given: thin, annotated dependencies.

A caller with access groups gets a searcher that finds only what he may see, and reaches only routes that are marked
`for_readers`: a new route is closed to him until somebody has thought of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request

from api.keys import Keys
from core.access import Access
from core.errors import AccessError
from core.settings import Settings
from indexer.run import Desk
from indexer.uploads import Uploads
from learning.feedback.recorder import Recorder
from search.pipeline import Searcher

Route = TypeVar("Route", bound=Callable[..., Any])

_FOR_READERS = "bothways_for_readers"


def for_readers(route: Route) -> Route:
    """Open a route to keys with access groups: it reads, through `SearcherDep`, and through nothing else.

    Feedback is open too: what it says of a chunk counts only where that chunk was shown in the search that it names.
    """
    setattr(route, _FOR_READERS, True)
    return route


def require_key(request: Request) -> Access:
    """Let a request in that brings a key which may use this route, if any keys are set; gives what it may see."""
    access = cast("Keys", request.app.state.keys).admit(request.headers)
    if not hasattr(request.scope["endpoint"], _FOR_READERS):
        _require_admin(access)  # said of every collection and job alike, whether it is there or not
    return access


AccessDep = Annotated[Access, Depends(require_key)]


def _searcher(request: Request, access: AccessDep) -> Searcher:
    return cast("Searcher", request.app.state.searcher()).seen_by(access)


def _settings(request: Request) -> Settings:
    return cast("Settings", request.app.state.settings)


def _recorder(request: Request) -> Recorder | None:
    return cast("Recorder | None", request.app.state.recorder)


def _desk(request: Request, access: AccessDep) -> Desk:
    _require_admin(access)
    return cast("Desk", request.app.state.desk())


def _uploads(request: Request, access: AccessDep) -> Uploads:
    _require_admin(access)
    return cast("Uploads", request.app.state.uploads)


def _require_admin(access: Access) -> None:
    """Refuse callers with groups; jobs and uploads are kept from them whatever a route is marked with."""
    if not access.is_admin:
        raise AccessError("This API key may only read; this takes a key without access groups.")


SearcherDep = Annotated[Searcher, Depends(_searcher)]
SettingsDep = Annotated[Settings, Depends(_settings)]
RecorderDep = Annotated[Recorder | None, Depends(_recorder)]
DeskDep = Annotated[Desk, Depends(_desk)]
UploadsDep = Annotated[Uploads, Depends(_uploads)]
