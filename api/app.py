"""The HTTP application: routes, errors, and one searcher for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import replace
from threading import Thread

import structlog
from fastapi import Depends, FastAPI
from fastapi.concurrency import run_in_threadpool

from bothways import __version__
from bothways.api import console, docs, openapi, problems
from bothways.api.answering import AnswerAdmission
from bothways.api.deps import require_key
from bothways.api.http.admission import Admission
from bothways.api.http.body import BoundedBody, Limits
from bothways.api.http.ending import Ending
from bothways.api.http.methods import Methods
from bothways.api.http.middleware import RequestContext
from bothways.api.readiness import LastSearches
from bothways.api.routes import ask, collections, documents, feedback, health, jobs, openai, search
from bothways.api.security.keys import load_keys
from bothways.api.security.origin_check import OriginCheck, origins_of
from bothways.api.security.wrong_keys import WrongKeys
from bothways.core.elastic.client import Server
from bothways.core.errors import BothwaysError
from bothways.core.lazy import Lazy
from bothways.core.settings import Settings
from bothways.indexer.build import default_job_options, open_parts
from bothways.indexer.parts import Parts
from bothways.indexer.run import open_registry
from bothways.indexer.uploads.queue import Uploads
from bothways.indexer.uploads.spool import Spool
from bothways.learning.feedback.recorder import build_recorder
from bothways.models.llm.chat import ChatModel, load_chat
from bothways.search.build import build_searcher
from bothways.search.pipeline import Searcher

log = structlog.get_logger()


def create_app(
    settings: Settings,
    build: Callable[[Settings], tuple[Searcher, Server]] = build_searcher,
    parts: Callable[[Settings], AbstractContextManager[Parts]] = open_parts,
) -> FastAPI:
    """Return the application. It also starts without Elasticsearch, and `/health/ready` says so until there is one.

    `parts` are what the jobs of uploads work with; the encoder of the searches is theirs too.
    """
    built = Lazy(lambda: build(settings), retry_after_s=1.0)
    uploads = _uploads(settings, built, parts)
    recorder = build_recorder(settings, lambda: built()[0].client)
    chat = Lazy(lambda: load_chat(settings))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        Thread(target=_warm_up, args=(built, chat), daemon=True).start()
        uploads.resume()
        if recorder is not None:
            recorder.start()
        yield
        await run_in_threadpool(uploads.close)
        if recorder is not None:
            await run_in_threadpool(recorder.close)
        if chat.made and (model := chat()) is not None:
            await model.aclose()

    app = FastAPI(
        title="Bothways",
        version=__version__,
        description="Hybrid search that rewrites from both sides.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=openapi.operation_name,
    )
    app.state.settings = settings
    app.state.admission = Admission(
        at_once=settings.search_concurrency,
        waiting=settings.search_queue,
        wait_s=settings.search_timeout_ms / 1000,
    )
    app.state.ending = Ending()
    app.state.last_searches = LastSearches(timeout_ms=settings.search_timeout_ms)
    app.state.answer_admission = AnswerAdmission(settings, app.state.admission)
    app.state.chat = chat
    app.state.keys = load_keys(settings)
    app.state.wrong_keys = WrongKeys()
    app.state.searcher = lambda: built()[0]
    app.state.registry = lambda: open_registry(built()[0].client)
    app.state.uploads = uploads
    app.state.recorder = recorder
    app.state.url = lambda: built()[1].url
    problems.install(app)
    openapi.install(app, has_keys=bool(settings.api_keys or settings.api_keys_file))
    # The last one that is added is the first one that a request meets.
    app.add_middleware(Methods)
    app.add_middleware(
        BoundedBody, limits=Limits(settings.max_body_mb, settings.max_upload_mb), ending=app.state.ending
    )
    app.add_middleware(OriginCheck, origins=origins_of(settings))
    app.add_middleware(RequestContext)
    app.include_router(health.router)
    app.include_router(ask.plain_router, dependencies=[Depends(require_key)])
    app.include_router(openai.router, prefix="/v1", dependencies=[Depends(require_key)])
    for module in (search, ask, feedback, collections, documents, jobs):
        app.include_router(module.router, prefix="/api/v1", dependencies=[Depends(require_key)])
    console.install(app)
    docs.install(app)
    return app


def _uploads(
    settings: Settings,
    built: Lazy[tuple[Searcher, Server]],
    parts: Callable[[Settings], AbstractContextManager[Parts]],
) -> Uploads:
    @contextmanager
    def shared_parts() -> Iterator[Parts]:
        searcher, _ = built()
        with parts(settings) as own:
            yield replace(own, encoder=searcher.encoder, segmenter=searcher.segmenter)

    return Uploads(
        Spool(settings.cache_dir / "uploads"),
        registry=lambda: open_registry(built()[0].client),
        parts=shared_parts,
        options=default_job_options(settings, ""),
    )


def _warm_up(built: Lazy[tuple[Searcher, Server]], chat: Lazy[ChatModel | None]) -> None:
    """Load what searches need, in the background; what fails here fails again in `/health/ready`, which says why."""
    try:
        built()[0].warm_up()
        chat()
    except BothwaysError as error:
        log.warning("not_ready", reason=str(error))
