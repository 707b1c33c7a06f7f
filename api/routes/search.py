"""`POST /api/v1/search`."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from bothways.api.answers import search_result
from bothways.api.deps import KeyedRoute, LastSearchesDep, RecorderDep, SearcherDep, SettingsDep, for_readers
from bothways.api.http.admission import admitted
from bothways.schemas.search import SearchRequest, SearchResult
from bothways.search.options import options

router = APIRouter(tags=["search"], route_class=KeyedRoute)


@router.post("/search", response_model=SearchResult, dependencies=[Depends(admitted)])
@for_readers
def search(
    request: SearchRequest,
    searcher: SearcherDep,
    settings: SettingsDep,
    recorder: RecorderDep,
    last_searches: LastSearchesDep,
) -> Response:
    """Find the chunks that answer a question."""
    how = options(settings.search, request.given())
    with last_searches.watched(request.collection):
        result = searcher.search(request.query, request.collection, how)
    # The models make the JSON themselves: what FastAPI would validate again is ours.
    answer = search_result(result, explain=request.explain).model_dump_json()
    if recorder is not None:
        recorder.searched(result, filtered=bool(how.filters))
    return Response(answer, media_type="application/json")
