"""`bothways search`: one question, its hits on the terminal or as JSON."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer
from rich.markup import escape

from api.wire import search_response
from cli.options import AsGroupsOption, CollectionOption, JsonOption, parse_access, parse_filters, parse_strategy
from cli.output import out, print_json, printable
from core.datatypes import Hit, SearchResult
from core.settings import settings
from search.build import build_searcher, default_options


def search(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="what to search for")],
    collection: CollectionOption = "default",
    strategy: Annotated[str, typer.Option(help="how to search")] = "hybrid_rerank",
    top_k: Annotated[int, typer.Option(min=1, max=100, help="hits to show")] = 5,
    filter_: Annotated[list[str] | None, typer.Option("--filter", help="FIELD=VALUE that hits must have")] = None,
    explain: Annotated[bool, typer.Option(help="show where each leg placed a hit")] = False,
    as_groups: AsGroupsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search a collection."""
    searcher, _ = build_searcher(settings())
    options = replace(
        default_options(settings()),
        strategy=parse_strategy(strategy),
        top_k=top_k,
        filters=parse_filters(filter_ or []),
        explain=explain,
    )
    result = searcher.seen_by(parse_access(as_groups)).search(question, collection, options)
    if as_json:
        print_json(search_response(result, explain=explain))
    else:
        show(result, explain=explain)


def show(result: SearchResult, *, explain: bool) -> None:
    """Print a result for people."""
    for rank, hit in enumerate(result.hits, start=1):
        title, source = (escape(printable(text)) for text in (hit.title, hit.source))
        out.print(f"[bold]{rank}. {title}[/bold]  [dim]{source}  {hit.score:.4f}[/dim]")
        out.print("   " + escape(printable(hit.text).replace("\n", "\n   ")))
        if explain:
            out.print(f"   [dim]{escape(_explain(hit))}[/dim]")
    if explain and result.query.rewritten is not None:
        out.print(f"[dim]pseudo-document: {escape(printable(result.query.rewritten))}[/dim]")
    if not result.hits:
        out.print("Nothing was found.")
    left_out = f", without: {', '.join(result.degraded)}" if result.degraded else ""
    out.print(f"[dim]{result.strategy} on {result.index}, {result.timings_ms['total']:.0f} ms{left_out}[/dim]")


def _explain(hit: Hit) -> str:
    told = [
        f"{leg} #{placed.rank} ({placed.score:.3f}{f' “{placed.matched}”' if placed.matched else ''})"
        for leg, placed in hit.legs.items()
    ]
    if hit.rrf is not None:
        told.append(f"rrf {hit.rrf:.4f}")
    if hit.cross_encoder is not None:
        told.append(f"cross-encoder {hit.cross_encoder:.2f}")
    return "; ".join(told)
