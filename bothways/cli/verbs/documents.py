"""`bothways documents`: the documents of a collection."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Column

from bothways.cli.options import AsGroupsOption, JsonOption, parse_access
from bothways.cli.output import err, listing, out, plain, print_json, printable
from bothways.core.access.guarded import guarded
from bothways.core.settings import settings
from bothways.indexer.documents import list_documents
from bothways.node.connect import connect
from bothways.schemas.documents import DocumentRow


def documents(
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help="the collection's name")],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="how many documents, in the order of their ids")] = 50,
    after: Annotated[
        str | None, typer.Option(metavar="DOC_ID", help="begin after this id, which gives the next page")
    ] = None,
    as_groups: AsGroupsOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the documents of a collection, a page at a time."""
    client, _ = connect(settings())
    rows = list_documents(guarded(client, parse_access(as_groups)), collection, size=limit, after=after)
    if as_json:
        print_json([DocumentRow.model_validate(row) for row in rows])
        return
    table = listing((row.doc_id for row in rows), "document", "title", "source", Column("chunks", justify="right"))
    for row in rows:
        table.add_row(plain(row.doc_id), plain(row.title), plain(row.source), f"{row.chunk_count:,}")
    out.print(table)
    if len(rows) == limit:
        err.print(f"More: --after {printable(rows[-1].doc_id)}", markup=False)
