"""What routes are given: thin, annotated dependencies.

A caller with access groups gets a searcher that finds only what this caller is allowed to see, and reaches only routes
that are marked `for_readers`: a new route is closed to readers until someone opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute

from bothways.api.readiness import LastSearches
from bothways.api.security.keys import CurrentKeys, KeyRefusedError
from bothways.api.security.wrong_keys import WrongKeys
from bothways.core.access.groups import Access
from bothways.core.errors import AccessError
from bothways.core.settings import Settings
from bothways.indexer.run import JobRegistry
from bothways.indexer.uploads.queue import Uploads
from bothways.learning.feedback.recorder import Recorder
from bothways.search.pipeline import Searcher

Route = TypeVar("Route", bound=Callable[..., Any])

_FOR_READERS = "bothways_for_readers"


def for_readers(route: Route) -> Route:
    """Open a route to keys with access groups: it reads, through `SearcherDep`, and through nothing else.

    Feedback is open too: what it says of a chunk counts only where that chunk was shown in the search that it names.
    """
    setattr(route, _FOR_READERS, True)
    return route


class KeyedRoute(APIRoute):
    """A route for callers with a key that may use it, where keys are set; FastAPI calls it once it has chosen it.

    The key comes before everything else of a request: FastAPI reads and parses a body before it looks at dependencies,
    and callers without a key should neither send us one nor learn from our errors what a body has to look like.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the route, behind the check of the key."""
        handle = super().get_route_handler()

        async def handle_with_key(request: Request) -> Response:
            request.state.access = await _admit(request)
            return await handle(request)

        return handle_with_key


async def _admit(request: Request) -> Access:
    """Return what the caller may see; raise 401 without a key that we know, `AccessError` where it is not enough."""
    try:
        access = cast("CurrentKeys", request.app.state.keys).admit(request.headers)
    except KeyRefusedError:
        address = request.client.host if request.client is not None else ""
        await cast("WrongKeys", request.app.state.wrong_keys).slow_down(address)
        raise
    if not hasattr(request.scope["endpoint"], _FOR_READERS):
        _require_admin(access)  # said of every collection and job alike, whether it is there or not
    return access


def require_key(request: Request) -> Access:
    """Return what the caller may see, as `KeyedRoute` found it; on any other route this fails."""
    return cast("Access", request.state.access)


AccessDep = Annotated[Access, Depends(require_key)]


def _searcher(request: Request, access: AccessDep) -> Searcher:
    return cast("Searcher", request.app.state.searcher()).seen_by(access)


def _settings(request: Request) -> Settings:
    return cast("Settings", request.app.state.settings)


def _recorder(request: Request) -> Recorder | None:
    return cast("Recorder | None", request.app.state.recorder)


def _registry(request: Request, access: AccessDep) -> JobRegistry:
    _require_admin(access)
    return cast("JobRegistry", request.app.state.registry())


def _uploads(request: Request, access: AccessDep) -> Uploads:
    _require_admin(access)
    return cast("Uploads", request.app.state.uploads)


def _last_searches(request: Request) -> LastSearches:
    return cast("LastSearches", request.app.state.last_searches)


def _require_admin(access: Access) -> None:
    """Refuse callers with groups: jobs and uploads are for admins, even on a route that is marked `for_readers`."""
    if not access.is_admin:
        raise AccessError("This API key may only read; this takes a key without access groups.")


SearcherDep = Annotated[Searcher, Depends(_searcher)]
SettingsDep = Annotated[Settings, Depends(_settings)]
RecorderDep = Annotated[Recorder | None, Depends(_recorder)]
RegistryDep = Annotated[JobRegistry, Depends(_registry)]
UploadsDep = Annotated[Uploads, Depends(_uploads)]
LastSearchesDep = Annotated[LastSearches, Depends(_last_searches)]
