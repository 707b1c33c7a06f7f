"""`bothways delete`: a collection with all its versions, one version, or one document."""

from __future__ import annotations

from typing import Annotated

import typer

from bothways.cli.output import err, printable
from bothways.core.collections.collection import delete_collection, no_collection
from bothways.core.errors import UsageError
from bothways.core.settings import settings
from bothways.indexer.documents import delete_document
from bothways.indexer.versions.adopt import delete_version
from bothways.indexer.versions.rollback import list_versions
from bothways.node.connect import connect


def delete(
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help="the collection's name")],
    document: Annotated[
        str | None,
        typer.Option(metavar="DOC_ID", help="delete this document alone; `bothways documents` lists the ids"),
    ] = None,
    version: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="delete this version alone; it may not be the one in use")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
) -> None:
    """Delete a collection, one of its versions, or a document.

    A document is deleted from all versions of its collection: when the command ends, no search finds anything of it.
    """
    if document is not None and version is not None:
        raise UsageError("--document and --version exclude each other.")
    client, _ = connect(settings())
    if document is not None:
        chunks = delete_document(client, collection, document)
        err.print(
            f"Deleted {printable(document)} ({chunks:,} chunks). If its file is still in an indexed folder, "
            "the next run brings it back.",
            markup=False,
        )
    elif version is not None:
        _confirm(yes, f"Delete version {version} of {collection}?")
        index, chunks = delete_version(client, collection, version)
        err.print(f"Deleted {index} ({chunks:,} chunks).", markup=False)
    else:
        there = list_versions(client, collection)
        if not there:
            raise no_collection(collection)
        held = ", ".join(f"v{one.number} with {one.chunks:,} chunks" for one in there)
        _confirm(yes, f"Delete the collection {collection} with all its versions ({held})?")
        err.print(f"Deleted {', '.join(delete_collection(client, collection))}.")


def _confirm(yes: bool, question: str) -> None:
    if not yes and not typer.confirm(question):
        raise UsageError("Nothing was deleted.")
