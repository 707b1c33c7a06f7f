"""`bothways search`: one question, its hits on the terminal or as JSON."""

from __future__ import annotations

from typing import Annotated

import typer

from bothways.api.answers import search_result
from bothways.cli.options import (
    AsGroupsOption,
    CollectionOption,
    FilterOption,
    FusionOption,
    JsonOption,
    MinScoreOption,
    RankWindowOption,
    RewriteOption,
    SelfQueryOption,
    parse_access,
    parse_filters,
    parse_fusion,
    parse_rewrite,
    parse_strategy,
)
from bothways.cli.output import print_json
from bothways.cli.shown import show
from bothways.core.settings import settings
from bothways.schemas.bounds import MAX_CONTEXT, MAX_OFFSET
from bothways.search.build import build_searcher


def search(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="what to search for")],
    collection: CollectionOption = "default",
    strategy: Annotated[str, typer.Option(help="how to search")] = "hybrid_rerank",
    top_k: Annotated[int, typer.Option(min=1, max=100, help="hits to show")] = 5,
    offset: Annotated[int, typer.Option(min=0, max=MAX_OFFSET, help="hits to pass over")] = 0,
    rank_window_size: RankWindowOption = None,
    facet: Annotated[list[str] | None, typer.Option(help="metadata field by which to count what was found")] = None,
    context: Annotated[int, typer.Option(min=0, max=MAX_CONTEXT, help="chunks to show before and after")] = 0,
    highlight: Annotated[bool, typer.Option(help="show the sentences that have the question's words")] = False,
    min_score: MinScoreOption = None,
    explain: Annotated[bool, typer.Option(help="show where each leg placed a hit, and by what")] = False,
    filter_: FilterOption = None,
    self_query: SelfQueryOption = None,
    rewrite: RewriteOption = None,
    fusion: FusionOption = None,
    as_groups: AsGroupsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search a collection."""
    searcher, _ = build_searcher(settings())
    defaults = settings().search
    options = defaults.replace(
        strategy=parse_strategy(strategy),
        top_k=top_k,
        filters=parse_filters(filter_ or []),
        min_score=min_score,
        explain=explain,
        highlight=highlight,
        offset=offset,
        leg_k=rank_window_size or defaults.leg_k,
        facets=facet or [],
        context=context,
        self_query=defaults.self_query if self_query is None else self_query,
        rewrite=parse_rewrite(rewrite) or defaults.rewrite,
        fusion=parse_fusion(fusion) or defaults.fusion,
    )
    result = searcher.seen_by(parse_access(as_groups)).search(question, collection, options)
    if as_json:
        print_json(search_result(result, explain=explain))
    else:
        show(result, explain=explain)
