"""The HTTP application: routes, errors, and one searcher for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from threading import Thread

import structlog
from fastapi import Depends, FastAPI

from api import problems
from api.deps import require_key
from api.middleware import RequestContext
from api.routes import collections, health, search
from core.elastic import Server
from core.errors import BothwaysError
from core.once import Once
from core.settings import Settings
from search.build import build_searcher
from search.pipeline import Searcher

log = structlog.get_logger()


def create_app(settings: Settings, build: Callable[[Settings], tuple[Searcher, Server]] = build_searcher) -> FastAPI:
    """Make the application. It starts without Elasticsearch too, and says so in `/health/ready` until there is one."""
    built = Once(lambda: build(settings), retry_after_s=1.0)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        Thread(target=_warm_up, args=(built,), daemon=True).start()
        yield

    app = FastAPI(
        title="Bothways",
        version=version("bothways"),
        description="Hybrid search that rewrites from both sides.",
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.searcher = lambda: built()[0]
    app.state.url = lambda: built()[1].url
    problems.install(app)
    app.add_middleware(RequestContext, max_body=int(settings.max_body_mb * 1_000_000))
    app.include_router(health.router)
    for module in (search, collections):
        app.include_router(
            module.router, prefix="/api/v1", dependencies=[Depends(require_key)], responses=problems.RESPONSES
        )
    return app


def _warm_up(built: Once[tuple[Searcher, Server]]) -> None:
    """Load what searches need, in the background; what fails here fails again, and is told, in `/health/ready`."""
    try:
        built()[0].warm_up()
    except BothwaysError as error:
        log.warning("not_ready", reason=str(error))
