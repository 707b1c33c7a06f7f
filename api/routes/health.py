"""`/health/live`: the process runs. `/health/ready`: it can answer a search. `/metrics`: for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bothways.api.problems import headers_of, problem
from bothways.core.elastic.client import probe
from bothways.core.errors import BothwaysError
from bothways.schemas.server import Health, Live

router = APIRouter(tags=["health"])


@router.get("/health/live", name="health_live")
def live() -> Live:
    """Return that the process runs."""
    return Live()


@router.get("/health/ready", response_model=Health, name="health_ready")
def ready(request: Request) -> Response:
    """Return whether Elasticsearch answers, searches work and the encoder is loaded; 503 with the reason if not."""
    try:
        searcher = request.app.state.searcher()
        server = probe(searcher.client, request.app.state.url())
        request.app.state.last_searches.check(searcher)
        searcher.warm_up()
    except BothwaysError as error:
        return problem(request, 503, str(error), headers=headers_of(error))
    health = Health(elasticsearch=server.version, licence=server.licence, embedding_model=searcher.embedding_model)
    return Response(health.model_dump_json(), media_type="application/json")


@router.get("/metrics", include_in_schema=False)
def metrics() -> Response:
    """Return counters and timings in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
