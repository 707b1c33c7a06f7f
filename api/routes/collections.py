"""`/api/v1/collections`: what there is, one of them, going back to an earlier version of one, and removing one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import SearcherDep
from api.wire import CollectionOut, RollbackOut, collection_out, rollback_out
from core.collection import count, delete_collection, list_collections, open_collection
from indexer.rollback import advice, list_versions, rollback

router = APIRouter(tags=["collections"])


@router.get("/collections")
def list_all(searcher: SearcherDep) -> list[CollectionOut]:
    """List all collections."""
    client = searcher.client
    return [collection_out(*row, list_versions(client, row[0].name)) for row in list_collections(client)]


@router.get("/collections/{name}")
def get_one(name: str, searcher: SearcherDep) -> CollectionOut:
    """Say what a collection holds and was built with."""
    collection = open_collection(searcher.client, name)
    counts = count(searcher.client, collection.index)
    return collection_out(collection, *counts, list_versions(searcher.client, name))


@router.post("/collections/{name}/rollback")
def roll_back(
    name: str,
    searcher: SearcherDep,
    to: Annotated[int | None, Query(ge=1, description="number of the version to go to; else the one before")] = None,
) -> RollbackOut:
    """Let searches go to the version before the last rebuild, or to another one that is kept."""
    left, live = rollback(searcher.client, name, to=to)
    searcher.versions.forget(name)
    what_to_set = advice(live.collection, embedding_model=searcher.embedding_model, analyzer=searcher.segmenter.name)
    return rollback_out(left, live, what_to_set)


@router.delete("/collections/{name}", status_code=204)
def delete(name: str, searcher: SearcherDep) -> None:
    """Delete a collection with all its versions."""
    delete_collection(searcher.client, name)
    searcher.versions.forget(name)
