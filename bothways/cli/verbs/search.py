"""`bothways search`: one question, its hits on the terminal or as JSON.

Where a server runs, it is asked, so that no model has to be loaded: the one that BOTHWAYS_SERVER_URL names, else one
that `bothways serve` runs on this machine with the same settings. Otherwise the search is made in this process.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

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
    StrategyOption,
    parse_access,
    parse_filters,
)
from bothways.cli.output import fail, print_json
from bothways.cli.running import running_server
from bothways.cli.shown import show
from bothways.client import Client
from bothways.client.errors import BothwaysError as ClientError
from bothways.core.settings import Settings, settings
from bothways.schemas.bounds import MAX_CONTEXT, MAX_OFFSET
from bothways.schemas.options import options
from bothways.schemas.search import SearchResult


def search(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="what to search for")],
    collection: CollectionOption = "default",
    strategy: StrategyOption = "hybrid_rerank",
    top_k: Annotated[int, typer.Option(min=1, max=100, help="hits to show")] = 5,
    offset: Annotated[int, typer.Option(min=0, max=MAX_OFFSET, help="hits to skip")] = 0,
    rank_window_size: RankWindowOption = None,
    facet: Annotated[list[str] | None, typer.Option(help="metadata field to count the hits by; repeatable")] = None,
    context: Annotated[int, typer.Option(min=0, max=MAX_CONTEXT, help="chunks to show before and after a hit")] = 0,
    highlight: Annotated[bool, typer.Option(help="show only the sentences with words of the question")] = False,
    min_score: MinScoreOption = None,
    explain: Annotated[bool, typer.Option(help="show the rank that each leg gave a hit, and what it matched")] = False,
    filter_: FilterOption = None,
    self_query: SelfQueryOption = None,
    rewrite: RewriteOption = None,
    fusion: FusionOption = None,
    as_groups: AsGroupsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search a collection."""
    given = {
        "strategy": strategy,
        "top_k": top_k,
        "offset": offset,
        "leg_k": rank_window_size,
        "facets": facet,
        "context": context,
        "highlight": highlight,
        "min_score": min_score,
        "explain": explain,
        "filters": parse_filters(filter_ or []),
        "self_query": self_query,
        "rewrite": rewrite,
        "fusion": fusion,
    }
    result = None if as_groups is not None else _ask_server(settings(), question, collection, given)
    if result is None:
        result = _search_here(question, collection, given, as_groups)
    if as_json:
        print_json(result)
    else:
        show(result, explain=explain)


def _ask_server(chosen: Settings, question: str, collection: str, given: dict[str, Any]) -> SearchResult | None:
    """Return a server's answer; None where none runs, and where one that was not named by the user refuses."""
    wanted = {"rank_window_size" if name == "leg_k" else name: value for name, value in given.items()}
    keywords = {name: value for name, value in wanted.items() if value is not None}
    if chosen.server_url:
        key = chosen.server_api_key.get_secret_value() if chosen.server_api_key else ""
        try:
            with Client(chosen.server_url, api_key=key) as client:
                return client.search(question, collection, **keywords)
        except ClientError as error:
            fail(f"The server of BOTHWAYS_SERVER_URL: {error}", 1)
    if (url := running_server(chosen)) is None:
        return None
    try:
        with Client(url, api_key="") as client:  # a key is for the server that it was set for
            return client.search(question, collection, **keywords)
    except ClientError:
        return None  # what is wrong with the question or the collection is said by the search in this process


def _search_here(question: str, collection: str, given: dict[str, Any], as_groups: str | None) -> SearchResult:
    from bothways.search.build import build_searcher

    searcher, _ = build_searcher(settings())
    how = options(settings().search, given)
    result = searcher.seen_by(parse_access(as_groups)).search(question, collection, how)
    return SearchResult.model_validate(result, context={"explain": given["explain"]})
