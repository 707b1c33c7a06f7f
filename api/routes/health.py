"""`/health/live`: the process runs. `/health/ready`: it can answer a search. `/metrics`: for Prometheus."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from bothways.api.problems import headers_of, problem
from bothways.core.elastic.client import probe
from bothways.core.errors import BothwaysError

router = APIRouter(tags=["health"])


class Live(BaseModel):
    """The process runs."""

    status: Literal["live"] = "live"


class Ready(BaseModel):
    """A search can be answered, by this version of Elasticsearch and with this model."""

    status: Literal["ready"]
    elasticsearch: str
    licence: str
    embedding_model: str


@router.get("/health/live", name="health_live")
def live() -> Live:
    """Say that the process runs."""
    return Live()


@router.get("/health/ready", response_model=Ready, name="health_ready")
def ready(request: Request) -> Response:
    """Say whether Elasticsearch answers, searches too, and the encoder is loaded; 503 with the reason if not."""
    try:
        searcher = request.app.state.searcher()
        server = probe(searcher.client, request.app.state.url())
        request.app.state.last_searches.check(searcher)
        searcher.warm_up()
    except BothwaysError as error:
        return problem(request, 503, str(error), headers=headers_of(error))
    body = {"status": "ready", "elasticsearch": server.version, "licence": server.licence}
    return JSONResponse({**body, "embedding_model": searcher.embedding_model})


@router.get("/metrics", include_in_schema=False)
def metrics() -> Response:
    """Give counters and timings in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
