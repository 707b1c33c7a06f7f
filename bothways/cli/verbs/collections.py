"""`bothways collections`: list them, and change which version of one is searched and by whom."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Column

from bothways.api import answers
from bothways.cli.options import JsonOption
from bothways.cli.output import err, listing, out, print_json
from bothways.core.analysis import load_segmenter
from bothways.core.collections.collection import (
    list_broken,
    list_collections,
    open_collection,
)
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.elastic.counting import chunks_of
from bothways.core.errors import UsageError
from bothways.core.settings import settings
from bothways.indexer.versions.acl import set_acl
from bothways.indexer.versions.adopt import adopt
from bothways.indexer.versions.rollback import advice, list_versions, rollback
from bothways.node.connect import connect
from bothways.schemas.collections import Collection

NameArgument = Annotated[str, typer.Argument(help="the collection's name")]


def list_all(as_json: JsonOption = False) -> None:
    """List the collections with their versions."""
    client, _ = connect(settings())
    rows = [answers.collection(*row, list_versions(client, row[0].name)) for row in list_collections(client)]
    broken = [
        answers.broken_collection(view.problem(chunks_of(client, view)), list_versions(client, view.name), view.name)
        for view in list_broken(client)
    ]
    if as_json:
        print_json(rows + broken)
        return
    if not rows and not broken:
        err.print("There is no collection yet: make one with `bothways index PATH --collection NAME`.", markup=False)
        return
    if rows:
        _print_table(rows)
    for row in rows + broken:
        if row.problem:
            err.print(f"{row.name}: {row.problem}", markup=False)


def _print_table(rows: list[Collection]) -> None:
    numbers = (Column(name, justify="right", no_wrap=True, min_width=len(name)) for name in ("documents", "chunks"))
    names = [row.name for row in rows]
    table = listing(names, "collection", "index", *numbers, "embedding model", "analysis", "beside it")
    for row in rows:
        beside = ", ".join(f"v{version.number} {version.state}" for version in row.versions if version.state != "live")
        counts = f"{row.documents:,}", f"{row.chunks:,}"
        table.add_row(row.name, row.index, *counts, row.embedding_model, row.analyzer, beside)
    out.print(table)


def roll_back(
    name: NameArgument,
    to: Annotated[
        int | None, typer.Option(min=1, help="number of the version to search; unset: the one before")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Search the version before the last rebuild again, or another one."""
    client, _ = connect(settings())
    left, live = rollback(client, name, to=to)
    what_to_set = advice(
        live.collection, embedding_model=settings().embedding_model, analyzer=load_segmenter(settings()).name
    )
    if as_json:
        print_json(answers.rolled_back(left, live, what_to_set))
        return
    err.print(
        f"Searches in {name} go to {live.collection.index} now ({live.chunks:,} chunks). "
        f"{left.collection.index} is kept until the next rebuild: `--to {left.number}` goes there again.",
        markup=False,
    )
    if what_to_set:
        err.print(what_to_set, markup=False)


def adopt_version(
    name: NameArgument,
    version: Annotated[int, typer.Option("--version", min=1, help="number of the version to search")],
    as_json: JsonOption = False,
) -> None:
    """Search a version whose alias was lost, as after a restore."""
    client, _ = connect(settings())
    adopted, before = adopt(client, name, version)
    if as_json:
        print_json({"collection": name, "index": adopted.collection.index, "chunks": adopted.chunks, "was": before})
        return
    err.print(
        f"Searches in {name} go to {adopted.collection.index} now ({adopted.chunks:,} chunks). "
        "Nothing was deleted; `bothways collections` names its other versions.",
        markup=False,
    )
    if before in {"unfinished", "failed its check"}:
        err.print(f"That version was {before} before: index its documents again to complete it.", markup=False)
    what_to_set = advice(
        adopted.collection, embedding_model=settings().embedding_model, analyzer=load_segmenter(settings()).name
    )
    if what_to_set:
        err.print(what_to_set, markup=False)


def acl(
    name: NameArgument,
    field: Annotated[
        str | None, typer.Option(help="metadata field that holds the access groups of each document")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="let every key see every document again")] = False,
) -> None:
    """Show or set the metadata field that says which keys may see a document."""
    if off and field is not None:
        raise UsageError("--field and --off exclude each other.")
    client, _ = connect(settings())
    if off or field is not None:
        set_acl(client, name, field)
    collection = open_collection(client, name)
    if not collection.acl_field:
        err.print(f"Every key sees every document of {name}.", markup=False)
        return
    path = f"metadata.{collection.acl_field}"
    with elasticsearch_errors(f"counting the documents of {name}"):
        without = client.count(index=collection.index, query={"bool": {"must_not": {"exists": {"field": path}}}})
    err.print(
        f"Keys with access groups see documents of {name} by their {collection.acl_field}; "
        f"{without['count']:,} chunks have none, and admins alone see those.",
        markup=False,
    )
