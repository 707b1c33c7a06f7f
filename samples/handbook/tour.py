"""The demo's searches: colloquial questions that BM25 misses, and the figure of all 40 judged questions.

Run it after `bothways index samples/handbook/docs --collection handbook`; it fails when a first hit is wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from bothways.core.errors import BothwaysError
from bothways.core.settings import settings
from bothways.evaluation.build import evaluate_collection
from bothways.evaluation.judged.queries import load_queries
from bothways.search.build import build_searcher
from bothways.search.pipeline import Searcher

COLLECTION = "handbook"
QUESTIONS = {
    "老婆生娃我能陪几天": "employee/family-leave.md",
    "忙到半夜打车谁掏钱": "employee/overtime.md",
    "电脑摔了要赔吗": "employee/equipment.md",
    "这个月钱几号能到手": "employee/compensation.md",
}
"""Each question, and the document that answers it; BM25 alone puts another one first."""

JUDGED = Path(__file__).parent / "queries.jsonl"
MEASURE = "ndcg@10"

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Search, print, measure. Return the number of questions whose first hit is wrong."""
    searcher, server = build_searcher(settings())
    searcher.warm_up()
    console.print(f"\nElasticsearch {server.version} ({server.licence}), collection [bold]{COLLECTION}[/bold]\n")
    wrong = sum(not show(searcher, question, source) for question, source in QUESTIONS.items())
    console.print(measured(searcher) + "\n")
    return wrong


def show(searcher: Searcher, question: str, source: str) -> bool:
    """Print one search. Return whether its first hit is from the right document."""
    options = settings().search.replace(strategy="hybrid", top_k=3, explain=True)
    result = searcher.search(question, COLLECTION, options)
    right = bool(result.hits) and result.hits[0].source == source
    console.print(f"[bold]? {escape(question)}[/bold]  [dim]{result.timings_ms['total']:.0f} ms[/dim]")
    for rank, hit in enumerate(result.hits, start=1):
        mark = "[green]✓[/green]" if hit.source == source else " "
        console.print(f"  {rank}. {mark} {escape(hit.title)}  [dim]{escape(hit.source)}[/dim]")
        if rank == 1:
            console.print(f"       {escape(hit.text.splitlines()[0][:70])}…")
            if (placed := hit.legs.get("questions")) and placed.matched:
                console.print(f"       [dim]learned to answer: “{escape(placed.matched)}”[/dim]")
    console.print(f"     [dim]{rank_of_bm25(searcher, question, source)}[/dim]\n")
    return right


def rank_of_bm25(searcher: Searcher, question: str, source: str) -> str:
    """Return a line that says where BM25 alone puts the document."""
    options = settings().search.replace(strategy="bm25", top_k=30)
    hits = searcher.search(question, COLLECTION, options).hits
    rank = next((rank for rank, hit in enumerate(hits, start=1) if hit.source == source), None)
    return f"BM25 alone: rank {rank}" if rank else "BM25 alone: not found"


def measured(searcher: Searcher) -> str:
    """Return a line with the nDCG@10 of BM25 and of hybrid search on the judged questions."""
    queries = load_queries(JUDGED)
    report = evaluate_collection(searcher, COLLECTION, queries, ["bm25", "hybrid"], options=settings().search)
    bm25, hybrid = (report.strategies[name][MEASURE] for name in ("bm25", "hybrid"))
    return (
        f"Measured on the {len(queries)} judged questions of this knowledge base (nDCG@10, 1 is perfect): "
        f"BM25 {bm25:.3f}, hybrid [bold]{hybrid:.3f}[/bold]."
    )


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
