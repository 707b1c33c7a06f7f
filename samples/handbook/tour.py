"""The demo's searches: colloquial questions, what each finds first, and where words alone would have put it.

Run it after `bothways index samples/handbook/docs --collection handbook`; it fails when a first hit is wrong.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from rich.console import Console
from rich.markup import escape

from bothways.core.errors import BothwaysError
from bothways.core.settings import settings
from bothways.search.build import build_searcher, default_options
from bothways.search.pipeline import Searcher

COLLECTION = "handbook"
QUESTIONS = {
    "没人在家快递咋办": "shop/delivery.html",
    "每礼拜能在家待两天不": "employee/remote-work.md",
    "东西用坏了几年内白修": "products/warranty.md",
    "一年能歇几天": "employee/annual-leave.md",
}
"""Each question, and the document that answers it."""

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Search, print, and give the number of questions whose first hit is wrong."""
    searcher, server = build_searcher(settings())
    console.print(f"\nElasticsearch {server.version} ({server.licence}), collection [bold]{COLLECTION}[/bold]\n")
    return sum(not show(searcher, question, source) for question, source in QUESTIONS.items())


def show(searcher: Searcher, question: str, source: str) -> bool:
    """Print one search; tell whether its first hit is from the right document."""
    options = replace(default_options(settings()), strategy="hybrid", top_k=3, explain=True)
    result = searcher.search(question, COLLECTION, options)
    right = bool(result.hits) and result.hits[0].source == source
    console.print(f"[bold]? {escape(question)}[/bold]  [dim]{result.timings_ms['total']:.0f} ms[/dim]")
    for rank, hit in enumerate(result.hits, start=1):
        mark = "[green]✓[/green]" if hit.source == source else " "
        console.print(f"  {rank}. {mark} {escape(hit.title)}  [dim]{escape(hit.source)}[/dim]")
        if rank == 1:
            console.print(f"       {escape(hit.text.splitlines()[0][:70])}…")
            if (placed := hit.legs.get("questions")) and placed.matched:
                console.print(f"       [dim]learnt to answer: “{escape(placed.matched)}”[/dim]")
    console.print(f"     [dim]{by_words_alone(searcher, question, source)}[/dim]\n")
    return right


def by_words_alone(searcher: Searcher, question: str, source: str) -> str:
    """Say where BM25 alone puts the document."""
    options = replace(default_options(settings()), strategy="bm25", top_k=30)
    hits = searcher.search(question, COLLECTION, options).hits
    rank = next((rank for rank, hit in enumerate(hits, start=1) if hit.source == source), None)
    return f"BM25 alone: rank {rank}" if rank else "BM25 alone: not found"


if __name__ == "__main__":
    try:
        wrong = main()
    except BothwaysError as error:
        console.print(f"bothways: {error}", style="red", markup=False)
        sys.exit(1)
    if wrong:
        console.print(f"{wrong} of {len(QUESTIONS)} first hits are wrong.")
    else:
        console.print(
            "Try your own: .venv/bin/bothways search '发票怎么开' --collection handbook --explain", markup=False
        )
    sys.exit(1 if wrong else 0)
