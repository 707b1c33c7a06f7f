"""`/api/v1/collections`: what there is, one of them, going back to an earlier version of one, and removing one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from bothways.api import answers
from bothways.api.deps import KeyedRoute, SearcherDep, for_readers
from bothways.api.http.bounds import CollectionPath
from bothways.core.collections import collection as stored
from bothways.core.collections.collection import (
    delete_collection,
    list_broken,
    list_collections,
    open_collection,
)
from bothways.core.collections.visibility import as_visible, require_known
from bothways.core.elastic.counting import chunks_of, count
from bothways.core.errors import CollectionNotFoundError
from bothways.indexer.versions.acl import set_acl
from bothways.indexer.versions.rollback import Version, advice, list_versions, rollback
from bothways.schemas.collections import AclRequest, Collection, Rollback
from bothways.search.pipeline import Searcher

router = APIRouter(tags=["collections"], route_class=KeyedRoute)


@router.get("/collections", name="list_collections")
@for_readers
def list_all(searcher: SearcherDep) -> list[Collection]:
    """List all collections; a key with access groups gets those of which it can see documents.

    Those that have versions but no alias are listed with the `problem`, to keys without access groups.
    """
    shown = []
    for collection, documents, chunks in list_collections(searcher.client):
        try:
            seen = as_visible(collection, searcher.client)
        except CollectionNotFoundError:
            continue
        shown.append(answers.collection(seen, documents, chunks, _versions(searcher, collection)))
    return shown + (_broken(searcher) if searcher.sees_all else [])


@router.get("/collections/{name}", name="get_collection")
@for_readers
def get_one(name: CollectionPath, searcher: SearcherDep) -> Collection:
    """Return what a collection holds and was built with."""
    require_known(searcher.client, name)
    collection = open_collection(searcher.client, name)
    seen = as_visible(collection, searcher.client)
    return answers.collection(seen, *count(searcher.client, seen.index), _versions(searcher, collection))


@router.put("/collections/{name}/acl")
def set_access_groups(name: CollectionPath, acl: AclRequest, searcher: SearcherDep) -> Collection:
    """Name the metadata field that holds the access groups of each document, or null; in force within seconds."""
    set_acl(searcher.client, name, acl.field)
    searcher.versions.forget(name)
    return get_one(name, searcher)


@router.post("/collections/{name}/rollback", name="roll_back_collection")
def roll_back(
    name: CollectionPath,
    searcher: SearcherDep,
    to: Annotated[
        int | None, Query(ge=1, le=1_000_000_000, description="number of the version to go to; else the one before")
    ] = None,
) -> Rollback:
    """Let searches use the version before the last rebuild, or another version that is kept."""
    left, live = rollback(searcher.client, name, to=to)
    searcher.versions.forget(name)
    what_to_set = advice(live.collection, embedding_model=searcher.embedding_model, analyzer=searcher.segmenter.name)
    return answers.rolled_back(left, live, what_to_set)


@router.delete("/collections/{name}", status_code=204, name="delete_collection")
def delete(name: CollectionPath, searcher: SearcherDep) -> None:
    """Delete a collection with all its versions."""
    delete_collection(searcher.client, name)
    searcher.versions.forget(name)


def _broken(searcher: Searcher) -> list[Collection]:
    client = searcher.client
    return [
        answers.broken_collection(view.problem(chunks_of(client, view)), list_versions(client, view.name), view.name)
        for view in list_broken(client)
    ]


def _versions(searcher: Searcher, collection: stored.Collection) -> list[Version]:
    """Return the versions to callers that see everything; to others their numbers would reveal hidden documents."""
    if collection.acl_field and not searcher.sees_all:
        return []
    return list_versions(searcher.client, collection.name)
