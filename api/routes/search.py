"""`POST /api/v1/search`."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from api.admission import admitted
from api.deps import RecorderDep, SearcherDep, SettingsDep, for_readers
from api.wire_search import SearchRequest, SearchResponse, search_response
from search.build import default_options

router = APIRouter(tags=["search"])


@router.post("/search", response_model=SearchResponse, dependencies=[Depends(admitted)])
@for_readers
def search(request: SearchRequest, searcher: SearcherDep, settings: SettingsDep, recorder: RecorderDep) -> JSONResponse:
    """Find the chunks that answer a question."""
    defaults = default_options(settings)
    options = replace(
        defaults,
        strategy=request.strategy,
        top_k=request.top_k,
        filters=request.plain_filters,
        min_score=request.min_score,
        explain=request.explain,
        highlight=request.highlight,
        offset=request.offset,
        leg_k=request.rank_window_size or defaults.leg_k,
        facets=request.facets,
        facet_size=request.facet_size,
        context=request.context,
        self_query=defaults.self_query if request.self_query is None else request.self_query,
        rewrite=request.rewrite,
        fusion=request.fusion or defaults.fusion,
        deduplicate=defaults.deduplicate if request.deduplicate is None else request.deduplicate,
    )
    result = searcher.search(request.query, request.collection, options)
    answer = JSONResponse(search_response(result, explain=request.explain))
    if recorder is not None:
        recorder.searched(result, filtered=bool(options.filters))
    return answer
