"""Bodies of searches, restricted to what a caller may see.

What a filter cannot restrict is refused, not searched: aggregations over the whole index, queries that read other
documents, and every part of a body that is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from bothways.core.access.groups import Access, visible
from bothways.core.errors import AccessError

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
"""Parts of a search that a filter on its query and its kNN searches restricts."""
_WHOLE_INDEX = frozenset({"global", "significant_terms", "significant_text", "suggest", "parent", "children"})
"""Aggregations over documents that the search does not find."""
_EMPTY_BUCKETS = frozenset({"min_doc_count", "shard_min_doc_count"})
"""If it is 0, the answer has values that no found document has."""
_OTHER_DOCUMENTS = frozenset(
    ["more_like_this", "percolate", "indexed_shape", "has_child", "has_parent", "parent_id", "pinned"]
)
"""Queries that read other documents than those that match."""


def restricted(body: Mapping[str, Any], acl_field: str, access: Access) -> dict[str, Any]:
    """Return a search's body with the caller's filter in its query and in each kNN search, and without the ACL field.

    Raise `AccessError` for a body with a part that the filter cannot restrict.
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


def _as_list(part: Any) -> list[Any]:  # noqa: ANN401 – JSON
    return [] if part is None else list(part) if isinstance(part, list) else [part]


def _walk(part: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 – JSON
    """Return all names of a body with what stands under them, at any depth."""
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
            raise AccessError("This caller may not search by means of other documents.")
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


def params_without(
    params: Mapping[str, Any] | None, acl_field: str, access: Access, *, always: bool = False
) -> Mapping[str, Any] | None:
    """Take the ACL field out of a source that is asked for in the address, where it would win over the body's."""
    params = params or {}
    if visible(acl_field, access) is None or not (always or params.keys() & {"_source", "_source_includes"}):
        return params
    excluded = [part for part in str(params.get("_source_excludes", "")).split(",") if part]
    return {**params, "_source_excludes": ",".join([*excluded, f"metadata.{acl_field}"])}
