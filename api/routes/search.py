"""`POST /api/v1/search`."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from bothways.api.deps import KeyedRoute, LastSearchesDep, RecorderDep, SearcherDep, SettingsDep, for_readers
from bothways.api.http.admission import admitted
from bothways.api.options import search_options
from bothways.api.wire.search import SearchRequest, SearchResponse, search_response

router = APIRouter(tags=["search"], route_class=KeyedRoute)


@router.post("/search", response_model=SearchResponse, dependencies=[Depends(admitted)])
@for_readers
def search(
    request: SearchRequest,
    searcher: SearcherDep,
    settings: SettingsDep,
    recorder: RecorderDep,
    last_searches: LastSearchesDep,
) -> JSONResponse:
    """Find the chunks that answer a question."""
    options = search_options(request, settings)
    with last_searches.watched(request.collection):
        result = searcher.search(request.query, request.collection, options)
    answer = JSONResponse(search_response(result, explain=request.explain))
    if recorder is not None:
        recorder.searched(result, filtered=bool(options.filters))
    return answer
