"""Who may see what: callers with access groups, and the client through which they read.

A collection may name a metadata field that holds the groups of each document (`acl_field` in its `_meta`). A caller
with groups then sees the documents that have one of them, and no others; one without such a limit (`ADMIN`) sees all.
The rule is kept in one place, where requests leave for Elasticsearch: whatever code asks through the guarded client,
now or later, gets the filter into its query, its kNN searches and its counts, and every other request is refused.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from elastic_transport import ApiResponse
from elasticsearch import Elasticsearch, NotFoundError

from bothways.core.collections.collection import ACL_FIELD
from bothways.core.errors import AccessError

TTL_S = 1.0
"""How long it is believed which field protects an index, or that none does."""

_ABOUT_INDICES = frozenset({"info", "license.get", "indices.get", "indices.get_mapping", "indices.exists"})
"""Requests that tell nothing of documents."""
_BODY = frozenset(
    [
        "query",
        "knn",
        "aggs",
        "aggregations",
        "size",
        "from",
        "_source",
        "fields",
        "docvalue_fields",
        "sort",
        "search_after",
        "highlight",
        "collapse",
        "timeout",
        "track_total_hits",
        "track_scores",
        "min_score",
        "post_filter",
        "terminate_after",
    ]
)
"""Parts of a search that a filter on its query and its kNN searches holds for."""
_PARAMS = frozenset(
    [
        "ignore_unavailable",
        "filter_path",
        "preference",
        "request_cache",
        "terminate_after",
        "max_concurrent_searches",
        "typed_keys",
        "_source",
        "_source_includes",
        "realtime",
        "_source_excludes",
    ]
)
_WHOLE_INDEX = frozenset({"global", "significant_terms", "significant_text", "suggest", "parent", "children"})
"""Aggregations that look at documents beside those that were found."""
_EMPTY_BUCKETS = frozenset({"min_doc_count", "shard_min_doc_count"})
"""Where it is 0, values come along that no found document has."""
_OTHER_DOCUMENTS = frozenset(
    ["more_like_this", "percolate", "indexed_shape", "has_child", "has_parent", "parent_id", "pinned"]
)
"""Queries that read documents beside those that match."""
_NO_FIELD = "_none"
"""No document has this field, since readers take leading underscores away."""
_ONE_INDEX = re.compile(r"bothways-[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller may see: documents of any of these groups, written as the documents have them; None: all."""

    groups: frozenset[str] | None = None

    @property
    def is_admin(self) -> bool:
        """Whether nothing is kept from the caller."""
        return self.groups is None


ADMIN = Access()
"""Sees all and may change all: keys without groups, and the command line, which has Elasticsearch itself."""


def visible(acl_field: str, access: Access) -> dict[str, Any] | None:
    """Give the filter that documents have to pass; None where all may be seen.

    A document without the field has no group, so it passes for nobody.
    """
    if access.groups is None or not acl_field:
        return None
    if not access.groups:
        return {"match_none": {}}
    return {"terms": {f"metadata.{acl_field}": sorted(access.groups)}}


def restricted(body: Mapping[str, Any], acl_field: str, access: Access) -> dict[str, Any]:
    """Give a search's body with the caller's filter in its query and in each kNN search, and without the ACL field.

    Raises `AccessError` for a body with a part that a filter does not hold for: better no answer than too much.
    """
    only = visible(acl_field, access)
    if only is None:
        return dict(body)
    path = f"metadata.{acl_field}"
    _refuse_what_looks_beyond(body, path)
    changed = {name: _without(part, path) for name, part in body.items()}
    if "knn" in changed:
        searches = changed["knn"] if isinstance(changed["knn"], list) else [changed["knn"]]
        changed["knn"] = [{**search, "filter": [*_as_list(search.get("filter")), only]} for search in searches]
    if "query" in changed or "knn" not in changed:
        changed["query"] = {"bool": {"must": _as_list(changed.get("query")), "filter": [only]}}
    if body.get("_source", True) is not False:
        changed["_source"] = _source_without(body.get("_source", True), path)
    return changed


@dataclass(slots=True, kw_only=True)
class Noted:
    """What was found out for one caller, each with its `time.monotonic()` (core/collections/visibility.py).

    `names` are the collections in which the caller sees something, `names_whole` whether all could be looked at;
    `fields`, by index, the metadata fields that documents of the caller have.
    """

    names: frozenset[str] = frozenset()
    names_whole: bool = True
    names_at: float = float("-inf")
    fields: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)


class GuardedClient(Elasticsearch):
    """A client for one caller: it searches and counts what the caller may see, and refuses whatever else."""

    is_guarded = True
    _access = Access(frozenset())
    _acl_fields: dict[str, tuple[float, str]]
    noted: Noted

    def options(self, **options: Any) -> GuardedClient:  # noqa: ANN401 – as the client's
        """Give a copy with other options, for the same caller."""
        copy: GuardedClient = super().options(**options)
        copy._access, copy._acl_fields, copy.noted = self._access, self._acl_fields, self.noted
        return copy

    def perform_request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,  # noqa: ANN401 – as the client's
        endpoint_id: str | None = None,
        path_parts: Mapping[str, Any] | None = None,
    ) -> ApiResponse[Any]:
        """Send a request as this caller may make it; every call of the client's methods comes through here."""
        parts = path_parts or {}
        if endpoint_id in {"search", "count"}:
            acl = self._acl_field(parts.get("index"), params)
            params = _params_without(params, acl, self._access)
            body = restricted(body or {}, acl, self._access)
            if endpoint_id == "count":
                body.pop("_source", None)
        elif endpoint_id == "mget":
            acl = self._acl_field(parts.get("index"), params)
            params = _params_without(params, acl, self._access, always=True)
            body = self._only_visible_ids(body, str(parts["index"]), acl)
        elif endpoint_id == "msearch":
            body = self._all_restricted(body, parts.get("index"), params)
        elif endpoint_id not in _ABOUT_INDICES:
            raise AccessError("This caller may only read what his access groups let him see.")
        return super().perform_request(
            method,
            path,
            params=params,
            headers=headers,
            body=body,
            endpoint_id=endpoint_id,
            path_parts=path_parts,
        )

    def acl_field_of(self, index: str) -> str:
        """Return the field that protects an index, as this client knows it; "" where nothing is hidden."""
        return self._acl_field(index, None)

    def note_meta(self, index: str, meta: Mapping[str, Any]) -> None:
        """Take over which field protects an index from its `_meta`, which was read just now."""
        self._acl_fields[index] = (time.monotonic(), str(meta.get(ACL_FIELD) or ""))

    def _only_visible_ids(self, body: Any, index: str, acl_field: str) -> dict[str, Any]:  # noqa: ANN401
        """Ask for nothing in place of what is hidden, so that it is answered like an id that is not there."""
        if set(body) != {"ids"}:
            raise AccessError("This caller may only get documents by their ids.")
        if visible(acl_field, self._access) is None:
            return dict(body)
        ids = [str(one) for one in body["ids"]]
        found = self.search(index=index, query={"ids": {"values": ids}}, size=len(ids), source=False)
        seen = {hit["_id"] for hit in found["hits"]["hits"]}
        return {"ids": [one if one in seen else f"-{uuid.uuid4().hex}" for one in ids]}

    def _all_restricted(self, body: Any, index: str | None, params: Mapping[str, Any] | None) -> list[Any]:  # noqa: ANN401
        lines: list[Any] = []
        for header, search in zip(body[::2], body[1::2], strict=True):
            if header.keys() - {"index", "ignore_unavailable", "preference", "request_cache"}:
                raise AccessError("This caller may not search like that.")
            acl = self._acl_field(header.get("index", index), params)
            lines += [header, restricted(search, acl, self._access)]
        return lines

    def _acl_field(self, index: object, params: Mapping[str, Any] | None) -> str:
        """Say which field protects an index; "" for none. What is not one version of a collection is refused."""
        if not isinstance(index, str) or not _ONE_INDEX.fullmatch(index) or (params or {}).keys() - _PARAMS:
            raise AccessError("This caller may not search like that.")
        known = self._acl_fields.get(index)
        if known is not None and time.monotonic() - known[0] < TTL_S:
            return known[1]
        try:
            found = super().perform_request(
                "GET", f"/{index}/_mapping", headers={"accept": "application/json"}, endpoint_id="indices.get_mapping"
            )
        except NotFoundError:
            return _NO_FIELD  # what is made under this name a moment later is not to be seen whole
        metas = [version["mappings"].get("_meta", {}) for version in found.body.values()]
        if len(metas) != 1 or "schema_version" not in metas[0]:
            raise AccessError("This caller may not search like that.")
        self.note_meta(index, metas[0])
        return self._acl_fields[index][1]


def guarded(client: Elasticsearch, access: Access) -> Elasticsearch:
    """Give the client through which a caller reads; an admin's is the client itself."""
    if access.is_admin:
        return client
    copy = client.options()
    # The client has no public way to a copy of another class that keeps address, credentials and timeouts.
    copy.__class__ = GuardedClient
    assert isinstance(copy, GuardedClient)  # noqa: S101 – for mypy
    copy._access, copy._acl_fields, copy.noted = access, {}, Noted()
    return copy


def _as_list(part: Any) -> list[Any]:  # noqa: ANN401 – JSON
    return [] if part is None else list(part) if isinstance(part, list) else [part]


def _walk(part: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 – JSON
    """Give all names of a body with what stands under them, at any depth."""
    if isinstance(part, Mapping):
        for name, value in part.items():
            yield name, value
            yield from _walk(value)
    elif isinstance(part, list):
        for value in part:
            yield from _walk(value)


def _refuse_what_looks_beyond(body: Mapping[str, Any], path: str) -> None:
    if unknown := body.keys() - _BODY:
        raise AccessError(f"This caller may not search with {', '.join(sorted(unknown))}.")
    for name, value in _walk([body.get("aggs"), body.get("aggregations")]):
        if (name in _WHOLE_INDEX and isinstance(value, Mapping)) or (name in _EMPTY_BUCKETS and str(value) == "0"):
            raise AccessError(f"This caller may not count with {name}.")
    for name, value in _walk(dict(body)):
        if name in _OTHER_DOCUMENTS or (isinstance(value, Mapping) and {"index", "id", "path"} <= value.keys()):
            raise AccessError("This caller may not search by documents that the search does not find.")
        named = _as_list(value) if name in {"field", "fields", "sort", "docvalue_fields"} else []
        asked = [name, *(pattern for pattern in named if isinstance(pattern, str))]
        # Below the field may be others, as for its values as numbers; a pattern may mean it without naming it.
        if any(one.startswith(f"{path}.") or fnmatchcase(path, one) for one in asked):
            raise AccessError("This caller may not ask for the field of the access groups.")


def _without(part: Any, path: str) -> Any:  # noqa: ANN401 – JSON
    """Take the ACL field out of the sources that parts of a body bring, as of `top_hits` and `inner_hits`."""
    if isinstance(part, Mapping):
        changed = {name: _without(value, path) for name, value in part.items()}
        for name in ("top_hits", "inner_hits"):
            inner = changed.get(name)
            if isinstance(inner, dict) and inner.get("_source", True) is not False:
                inner["_source"] = _source_without(inner.get("_source", True), path)
        return changed
    return [_without(value, path) for value in part] if isinstance(part, list) else part


def _source_without(source: Any, path: str) -> dict[str, Any]:  # noqa: ANN401 – JSON
    if isinstance(source, Mapping):
        return {**source, "excludes": [*_as_list(source.get("excludes")), path]}
    return {"excludes": [path]} if source is True else {"includes": _as_list(source), "excludes": [path]}


def _params_without(
    params: Mapping[str, Any] | None, acl_field: str, access: Access, *, always: bool = False
) -> Mapping[str, Any] | None:
    """Take the ACL field out of a source that is asked for in the address, where it would win over the body's."""
    params = params or {}
    if visible(acl_field, access) is None or not (always or params.keys() & {"_source", "_source_includes"}):
        return params
    excluded = [part for part in str(params.get("_source_excludes", "")).split(",") if part]
    return {**params, "_source_excludes": ",".join([*excluded, f"metadata.{acl_field}"])}
