"""From a request to a search's options: one place for all routes that search."""

from __future__ import annotations

from dataclasses import replace

from bothways.api.wire.search import SearchRequest
from bothways.core.settings import Settings
from bothways.search.build import default_options
from bothways.search.options import SearchOptions


def search_options(request: SearchRequest, settings: Settings) -> SearchOptions:
    """Put a request's options on top of those that are set."""
    defaults = default_options(settings)
    return replace(
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
