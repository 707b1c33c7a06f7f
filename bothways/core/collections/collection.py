"""A collection as Elasticsearch holds it: a name, the alias behind it, the version it points to, and its `_meta`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from elasticsearch import Elasticsearch, NotFoundError

from bothways.core.collections.alias import AliasView, is_version, number_of, view_alias, view_of
from bothways.core.collections.lease import alone_on
from bothways.core.elastic.build_mode import end_build, is_building, vector_fields
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.elastic.counting import chunks_of, count, count_chunks
from bothways.core.errors import (
    AccessError,
    AliasError,
    CollectionNotFoundError,
    ElasticsearchError,
    IncompatibleCollectionError,
    UsageError,
)

log = structlog.get_logger()

SCHEMA_VERSION = 1
"""Goes up whenever es_mappings/chunks.json changes in a way that older indices cannot serve."""

RESERVED = frozenset({"jobs", "leases", "shards", "feedback", "learning"})
"""No collection has these names, since indices of our own have: bothways-jobs and its like."""

ACL_FIELD = "acl_field"
"""Where `_meta` names the metadata field of the access groups (bothways/core/access/groups.py)."""

RERANKER = "reranker"
"""Where `_meta` names the folder of a reranker that was learnt for this collection."""

_TEXT_TYPES = frozenset({"keyword", "constant_keyword", "wildcard"})
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
_LIKE_A_VERSION = re.compile(r"-v\d+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """One version of a collection that exists.

    `metadata_fields` are the names that filters may use, `range_fields` those of them that have numbers and dates
    beside their text; `built_from` is the path that it was begun with.
    `is_discarded`: it failed its check or was rolled back; no rebuild resumes it.
    `chunker` and `max_chars` are how its documents were cut; None if an older Bothways did not note it.
    `acl_field` is the metadata field that holds a document's access groups; "" if all documents are public.
    `vectors` are the paths of the vector fields that the mapping has.
    `reranker` is the folder of a reranker that was promoted for this collection; "" where the settings' one serves.
    `is_partial`: the caller it was opened for sees a part of its documents, so its statistics tell of others, too.
    """

    name: str
    index: str
    embedding_model: str
    dimension: int
    analyzer: str
    schema_version: int
    metadata_fields: frozenset[str]
    built_from: str = ""
    is_discarded: bool = False
    chunker: str | None = None
    max_chars: int | None = None
    range_fields: frozenset[str] = frozenset()
    acl_field: str = ""
    vectors: frozenset[str] = frozenset()
    reranker: str = ""
    is_partial: bool = False

    def require(self, *, embedding_model: str, dimension: int | None = None, analyzer: str) -> None:
        """Raise `IncompatibleCollectionError`, with what to do, if the collection was built with something else."""
        if self.schema_version != SCHEMA_VERSION:
            self._refuse(f"index schema {self.schema_version}", f"{SCHEMA_VERSION}")
        if self.embedding_model != embedding_model:
            self._refuse(
                f"embedding model {self.embedding_model!r}",
                f"{embedding_model!r}",
                f"BOTHWAYS_EMBEDDING_MODEL={self.embedding_model}",
            )
        if dimension is not None and self.dimension != dimension:
            self._refuse(f"vectors of {self.dimension} dimensions", f"{dimension}")
        if self.analyzer != analyzer:
            self._refuse(f"the text analysis {self.analyzer!r}", f"{analyzer!r}")

    def _refuse(self, built_with: str, in_use: str, setting: str = "what it was built with") -> None:
        raise IncompatibleCollectionError(
            f"The collection {self.name!r} was built with {built_with}, in use is {in_use}: set {setting}, "
            f"or build it again with `bothways index PATH --collection {self.name} --recreate`."
        )


def alias_of(name: str) -> str:
    """Return the alias of a collection; raise `UsageError` for a name that Elasticsearch would not take.

    A name that ends like a version (`law-v2`) is refused: its alias could be the index of another collection. So are
    the names of our own indices beside the collections.
    """
    if name in RESERVED:
        raise UsageError(f"{name!r} cannot be a collection's name: Bothways keeps its own {name} under it.")
    if not _NAME.fullmatch(name) or _LIKE_A_VERSION.search(name):
        raise UsageError(
            f"{name[:80]!r} cannot be a collection's name: use up to 100 lower-case letters, digits, - and _, "
            "beginning with a letter or digit, and not ending in -v and a number."
        )
    return f"bothways-{name}"


def version_of(index: str) -> int:
    """Return the number of a version from the name of its index; 0 for other indices."""
    return number_of(index)


def open_collection(client: Elasticsearch, name: str) -> Collection:
    """Look a collection up by name.

    Raise `CollectionNotFoundError`, with how to make it, and `AliasError` if it has versions but its alias does not
    point to one of them, with what to do.
    """
    alias = alias_of(name)
    with elasticsearch_errors(f"opening the collection {name!r}"):
        try:
            found = client.indices.get_mapping(index=alias).body
        except NotFoundError as error:
            raise _why_not(client, name) from error
    if len(found) != 1 or not is_version(next(iter(found)), alias):
        raise _why_not(client, name)
    ((index, body),) = found.items()
    _show_all(client, index, body["mappings"])
    return from_mapping(name, index, body["mappings"])


def require_alias(client: Elasticsearch, name: str) -> None:
    """Raise `AliasError` if a collection has versions and its alias does not point to exactly one of them.

    A collection that does not exist yet, or whose first build was interrupted before its alias was set, may be written.
    """
    view = view_alias(client, name, alias_of(name))
    if view.is_broken:
        raise AliasError(view.problem(chunks_of(client, view)))


def _why_not(client: Elasticsearch, name: str) -> AliasError | CollectionNotFoundError:
    """Return the error for a collection that cannot be opened; callers with access groups get no details."""
    if getattr(client, "is_guarded", False):
        return no_collection(name)
    view = view_alias(client, name, alias_of(name))
    problem = view.problem(chunks_of(client, view))
    return AliasError(problem) if problem else no_collection(name)


def no_collection(name: str) -> CollectionNotFoundError:
    """Return the error for a collection that does not exist, or that the caller may not see."""
    return CollectionNotFoundError(
        f"There is no collection {name!r}: make it with `bothways index PATH --collection {name}`, "
        "or see `bothways collections`."
    )


def open_index(client: Elasticsearch, name: str, index: str) -> Collection | None:
    """Look one version of a collection up by its index, whether it is in use or not; None if it is gone."""
    with elasticsearch_errors(f"opening {index}"):
        try:
            found = client.indices.get_mapping(index=index)
        except NotFoundError:
            return None
    return from_mapping(name, index, found[index]["mappings"])


def _show_all(client: Elasticsearch, index: str, mappings: dict[str, Any]) -> None:
    """Make the documents of an unfinished first build visible, whether the build still runs or has died."""
    if is_building(mappings.get("_meta", {})):
        try:
            end_build(client, index)
        except (ElasticsearchError, AccessError) as error:
            # A key that may only read cannot do it; what is visible already can still be searched.
            log.warning("build_settings_not_restored", index=index, reason=str(error))


def from_mapping(name: str, index: str, mappings: dict[str, Any]) -> Collection:
    """Read a collection from an index's mapping (the object under `mappings`)."""
    meta = mappings.get("_meta") or {}
    properties = mappings.get("properties", {})
    fields = filterable(properties)
    return Collection(
        name=name,
        index=index,
        embedding_model=str(meta.get("embedding_model", "")),
        dimension=_number(meta.get("dimension")),
        analyzer=str(meta.get("analyzer", "")),
        schema_version=_number(meta.get("schema_version")),
        metadata_fields=frozenset(fields),
        built_from=str(meta.get("built_from", "")),
        is_discarded=bool(meta.get("failed_check") or meta.get("rolled_back_at")),
        chunker=str(meta["chunker"]) if meta.get("chunker") else None,
        max_chars=_number(meta.get("max_chars")) or None,
        range_fields=frozenset(
            name for name, field in fields.items() if {"number", "date"} <= field.get("fields", {}).keys()
        ),
        vectors=frozenset(path for path, _ in vector_fields(properties)),
        acl_field=str(meta.get(ACL_FIELD) or ""),
        reranker=str(meta.get(RERANKER) or ""),
    )


def filterable(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata fields of a mapping that hold text as our readers write it, by name.

    Fields of other types, in an index that was not made by Bothways (objects, aliases, numbers), are left out: filters
    on them would fail in Elasticsearch.
    """
    fields = properties.get("metadata", {}).get("properties", {})
    return {name: field for name, field in fields.items() if field.get("type") in _TEXT_TYPES}


def _number(value: object) -> int:
    """Return a number of `_meta`; 0 if it is not a number, as in an index that is not ours."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def list_collections(client: Elasticsearch) -> list[tuple[Collection, int, int]]:
    """List all collections by name, each with its numbers of documents and of chunks.

    Collections whose alias does not point to one version are not among them: see `list_broken`.
    """
    with elasticsearch_errors("listing the collections"):
        found = client.indices.get(index="bothways-*", expand_wildcards="open").body
        rows = []
        for view in _views(found):
            if view.live is not None:
                mappings = found[view.live]["mappings"]
                _show_all(client, view.live, mappings)
                rows.append((from_mapping(view.name, view.live, mappings), *count(client, view.live)))
    return rows


def list_broken(client: Elasticsearch) -> list[AliasView]:
    """List the collections that have versions, but no alias that points to one of them, by name."""
    with elasticsearch_errors("listing the collections"):
        found = client.indices.get(index="bothways-*", features=["aliases", "mappings"], expand_wildcards="open").body
    broken = [view for view in _views(found) if view.is_broken]
    # A user's own alias over the versions of several collections is not a broken collection.
    return [
        view
        for view in broken
        if view.versions or any(_is_ours(found[index]) and not version_of(index) for index in view.behind)
    ]


def _views(found: Mapping[str, Any]) -> list[AliasView]:
    """Group indices by the collection whose alias points to them, or whose version they are by name and `_meta`."""
    aliases = {alias for body in found.values() for alias in body.get("aliases", {}) if alias.startswith("bothways-")}
    aliases |= {_LIKE_A_VERSION.sub("", index) for index, body in found.items() if version_of(index) and _is_ours(body)}
    views = []
    for alias in sorted(aliases):
        name = alias.removeprefix("bothways-")
        if name not in RESERVED and _NAME.fullmatch(name) and not _LIKE_A_VERSION.search(name):
            views.append(view_of(found, name, alias))
    return views


def _is_ours(body: Mapping[str, Any]) -> bool:
    """Return whether an index holds chunks of ours, from the server's answer about it."""
    return "schema_version" in body["mappings"].get("_meta", {})


def delete_collection(client: Elasticsearch, name: str) -> list[str]:
    """Delete a collection with all its versions; return the indices that were deleted.

    Raise `CollectionNotFoundError`, and `LeaseHeldError` while a job writes the collection.
    """
    _indices_of(client, name)
    with alone_on(client, name) as lease, elasticsearch_errors(f"deleting the collection {name!r}"):
        indices = _indices_of(client, name)  # a job may have made one before the lease was ours
        for index in indices:
            lease.check()
            chunks = count_chunks(client, index)
            log.warning("version_removed", index=index, chunks=chunks, why="its collection is deleted")
            client.indices.delete(index=index)
    return indices


def _indices_of(client: Elasticsearch, name: str) -> list[str]:
    """List all versions of a collection, live or not."""
    indices = list(view_alias(client, name, alias_of(name)).versions)
    if not indices:
        raise CollectionNotFoundError(f"There is no collection {name!r}; see `bothways collections`.")
    return indices
