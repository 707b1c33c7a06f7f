"""Which collections a caller with access groups knows: a hidden collection is answered like a missing one.

All collections are looked at together and the result is kept, so a hidden name costs the same requests and the same
time as a name that no collection has.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from elasticsearch import Elasticsearch

import bothways.core.access.guarded
from bothways.core.access.guarded import GuardedClient
from bothways.core.collections.collection import Collection, alias_of, no_collection, open_collection, version_of
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.errors import ElasticsearchError

FIELDS_TTL_S = 5.0
"""Seconds for which the metadata fields of a caller's documents are cached, as mappings are (retrieve/versions.py)."""

_SEES = {"size": 0, "terminate_after": 1, "track_total_hits": 1}


def open_visible(client: Elasticsearch, name: str) -> Collection:
    """Open a collection as the caller may know it; raise `CollectionNotFoundError` if it is hidden or missing."""
    require_known(client, name)
    return as_visible(open_collection(client, name), client)


def require_known(client: Elasticsearch, name: str) -> None:
    """Raise `CollectionNotFoundError` unless the caller sees a document of this collection; admins are not checked.

    A known name stays known until the collection turns out to be gone, an unknown name stays unknown for `TTL_S`.
    """
    if not isinstance(client, GuardedClient):
        return
    alias_of(name)
    noted = client.noted
    if name not in noted.names and time.monotonic() - noted.names_at >= bothways.core.access.guarded.TTL_S:
        _look_around(client)
    if name in noted.names:
        return
    if not noted.names_whole:
        # The same answer for all names, hidden and missing ones, too: callers do not learn which collection failed.
        raise ElasticsearchError("Elasticsearch could not search every collection: see its log for what it lacks.")
    raise no_collection(name)


def as_visible(collection: Collection, client: Elasticsearch) -> Collection:
    """Return a collection as the caller of `client` may know it.

    The field of the groups is left out, and so are metadata fields that only hidden documents have. Raise
    `CollectionNotFoundError` if the caller sees no document of it.
    """
    if not isinstance(client, GuardedClient):
        return collection
    # The collection may have been opened before it was protected; the client looks more often.
    acl_field = client.acl_field_of(collection.index)
    if not acl_field:
        return replace(collection, acl_field="")
    fields = _fields(client, collection, acl_field)
    return replace(
        collection,
        metadata_fields=fields,
        range_fields=collection.range_fields & fields,
        acl_field="",
        is_partial=True,
    )


def _fields(client: GuardedClient, collection: Collection, acl_field: str) -> frozenset[str]:
    """Return the metadata fields of the documents that the caller sees; raise if there is no such document."""
    index, noted = collection.index, client.noted
    known = noted.fields.get(index)
    if known is not None and time.monotonic() - known[0] < FIELDS_TTL_S:
        _look(client, collection, _SEES)
        return known[1]
    path = f"metadata.{acl_field}"
    # To Elasticsearch and to the client's guard such a name would be a pattern, which may mean other fields.
    names = sorted(
        name for name in collection.metadata_fields if "*" not in name and not fnmatchcase(path, f"metadata.{name}")
    )
    each = [{"exists": {"field": f"metadata.{name}"}} for name in names]
    aggs = {"aggs": {"fields": {"filters": {"filters": each}}}} if names else {}
    found = _look(client, collection, {"size": 0, "track_total_hits": 1, **aggs})
    counted = found["aggregations"]["fields"]["buckets"] if names else ()
    there = frozenset(name for name, row in zip(names, counted, strict=True) if row["doc_count"])
    noted.fields[index] = (time.monotonic(), there)
    return there


def _look(client: GuardedClient, collection: Collection, body: Mapping[str, Any]) -> Mapping[str, Any]:
    with elasticsearch_errors("looking for what may be seen"):
        # An index that was removed this moment has nothing to see; that is no error.
        found = client.search(index=collection.index, ignore_unavailable=True, **body)
    if int(found["hits"]["total"]["value"]) == 0:
        client.noted.names -= {collection.name}
        raise no_collection(collection.name)
    answer: Mapping[str, Any] = found.body
    return answer


def _look_around(client: GuardedClient) -> None:
    """Note the names of all collections in which the caller sees something: two requests, however many there are."""
    with elasticsearch_errors("listing the collections"):
        found = client.indices.get(
            index="bothways-*", expand_wildcards="open", filter_path="*.aliases,*.mappings._meta"
        ).body
        live = dict(_live(client, found))
        lines = [line for index in live.values() for line in ({"index": index, "ignore_unavailable": True}, _SEES)]
        answers = client.msearch(searches=lines)["responses"] if lines else []
    looked = dict(zip(live, answers, strict=True))
    client.noted.names = frozenset(
        name
        for name, answer in looked.items()
        if "error" not in answer and (answer["hits"]["total"]["value"] or not client.acl_field_of(live[name]))
    )
    client.noted.names_whole = not any("error" in answer for answer in answers)
    client.noted.names_at = time.monotonic()


def _live(client: GuardedClient, found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for index, body in found.items():
        meta = body.get("mappings", {}).get("_meta", {})
        for alias in body.get("aliases", {}):
            if "schema_version" in meta and version_of(index) and index.startswith(f"{alias}-v"):
                client.note_meta(index, meta)
                yield alias.removeprefix("bothways-"), index
