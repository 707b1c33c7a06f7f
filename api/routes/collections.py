"""`/api/v1/collections`: what there is, one of them, and removing one."""

from __future__ import annotations

from fastapi import APIRouter

from api.deps import SearcherDep
from api.wire import CollectionOut, collection_out
from core.collection import count, delete_collection, list_collections, open_collection

router = APIRouter(tags=["collections"])


@router.get("/collections")
def list_all(searcher: SearcherDep) -> list[CollectionOut]:
    """List all collections."""
    return [collection_out(*row) for row in list_collections(searcher.client)]


@router.get("/collections/{name}")
def get_one(name: str, searcher: SearcherDep) -> CollectionOut:
    """Say what a collection holds and was built with."""
    collection = open_collection(searcher.client, name)
    return collection_out(collection, *count(searcher.client, collection.index))


@router.delete("/collections/{name}", status_code=204)
def delete(name: str, searcher: SearcherDep) -> None:
    """Delete a collection with all its versions."""
    delete_collection(searcher.client, name)
