"""`bothways feedback`: what users searched and did, counted, with the latest."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from bothways.cli.options import JsonOption
from bothways.cli.output import err, out, plain, print_json
from bothways.core.settings import settings
from bothways.learning.feedback.recorder import spool_folder
from bothways.learning.feedback.spool import refused_in, waiting_in
from bothways.learning.feedback.store import Counts, FeedbackStore
from bothways.node.connect import connect


def feedback(
    collection: Annotated[str | None, typer.Option("--collection", "-c", help="count only this collection")] = None,
    limit: Annotated[
        int, typer.Option(min=0, max=1000, help="how many of the latest searches and clicks to show")
    ] = 10,
    as_json: JsonOption = False,
) -> None:
    """Count the searches and clicks that the API recorded, and show the latest."""
    client, _ = connect(settings())
    store = FeedbackStore(client)
    counts = store.counts(collection)
    rows = store.last(size=limit, collection=collection) if limit else []
    folder = spool_folder(settings())
    waiting, refused = waiting_in(folder), refused_in(folder)
    if as_json:
        print_json({**asdict(counts), "waiting_bytes": waiting, "refused": refused, "last": rows})
        return
    _show(counts)
    if waiting:
        err.print(f"{waiting:,} bytes wait on this machine for Elasticsearch.")
    if refused:
        err.print(f"Elasticsearch refused {refused:,} rows: {folder}/*.refused says why.", markup=False)
    if rows:
        out.print(_latest(rows))


def _show(counts: Counts) -> None:
    actions = ", ".join(f"{times:,} {name}" for name, times in counts.actions.items())
    out.print(f"{counts.queries:,} searches, {counts.events:,} events{': ' if actions else ''}{actions}", markup=False)
    for title, counted in (("collection", counts.collections), ("index", counts.months)):
        table = Table(title, "rows", box=box.SIMPLE_HEAD)
        for name, times in counted.items():
            table.add_row(plain(name), f"{times:,}")
        if counted:
            out.print(table)


def _latest(rows: list[dict[str, Any]]) -> Table:
    table = Table("time", "what", "query_id", "of", box=box.SIMPLE_HEAD)
    for row in rows:
        if row["kind"] == "query":
            what, of = "search", str(row.get("user_query", f"({row['query_attributes']['text']})"))
        else:
            what, of = row["action_name"], row["event_attributes"]["object"]["object_id"]
        table.add_row(row["timestamp"], what, row["query_id"], plain(of))
    return table
