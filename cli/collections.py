"""`bothways collections` and `bothways delete collection`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from api.wire import collection_out
from cli.options import JsonOption
from cli.output import err, out, print_json
from core.collection import delete_collection, list_collections, open_collection
from core.elastic import connect
from core.errors import UsageError
from core.settings import settings

delete_app = typer.Typer(help="Delete a collection.", no_args_is_help=True)


def collections(as_json: JsonOption = False) -> None:
    """List the collections."""
    client, _ = connect(settings())
    rows = [collection_out(*row) for row in list_collections(client)]
    if as_json:
        print_json([row.model_dump() for row in rows])
        return
    if not rows:
        err.print("There is no collection yet: make one with `bothways index PATH --collection NAME`.", markup=False)
        return
    table = Table("collection", "index", "documents", "chunks", "embedding model", "analysis")
    for row in rows:
        table.add_row(row.name, row.index, f"{row.documents:,}", f"{row.chunks:,}", row.embedding_model, row.analyzer)
    out.print(table)


@delete_app.command("collection")
def delete(
    name: Annotated[str, typer.Argument(help="the collection's name")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
) -> None:
    """Delete a collection with all its versions."""
    client, _ = connect(settings())
    open_collection(client, name)
    if not yes and not typer.confirm(f"Delete the collection {name} with all its versions?"):
        raise UsageError("Nothing was deleted.")
    err.print(f"Deleted {', '.join(delete_collection(client, name))}.")
