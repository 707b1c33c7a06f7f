"""The client through which a caller with access groups reads.

Whatever code asks through it, now or later, gets the caller's filter into its query, its kNN searches and its counts;
every other request is refused.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from elastic_transport import ApiResponse
from elasticsearch import Elasticsearch, NotFoundError

from bothways.core.access.groups import Access, visible
from bothways.core.access.restricted import params_without, restricted
from bothways.core.collections.collection import ACL_FIELD
from bothways.core.errors import AccessError

TTL_S = 1.0
"""Seconds for which it is remembered which field protects an index, or that none does."""

_ABOUT_INDICES = frozenset({"info", "license.get", "indices.get", "indices.get_mapping", "indices.exists"})
"""Requests whose answers say nothing about documents."""
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
_NO_FIELD = "_none"
"""No document has this field, since readers take leading underscores away."""
_ONE_INDEX = re.compile(r"bothways-[a-z0-9][a-z0-9_-]*")


@dataclass(slots=True, kw_only=True)
class Noted:
    """What is known about one caller's view, each with its `time.monotonic()` (core/collections/visibility.py).

    `names` are the collections in which the caller sees something, `names_whole` whether all could be looked at;
    `fields`, by index, the metadata fields that documents of the caller have.
    """

    names: frozenset[str] = frozenset()
    names_whole: bool = True
    names_at: float = float("-inf")
    fields: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)


class GuardedClient(Elasticsearch):
    """A client for one caller: it searches and counts what the caller may see, and refuses all other requests."""

    is_guarded = True
    _access = Access(frozenset())
    _acl_fields: dict[str, tuple[float, str]]
    noted: Noted

    def options(self, **options: Any) -> GuardedClient:  # noqa: ANN401 – as the client's
        """Return a copy with other options, for the same caller."""
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
            params = params_without(params, acl, self._access)
            body = restricted(body or {}, acl, self._access)
            if endpoint_id == "count":
                body.pop("_source", None)
        elif endpoint_id == "mget":
            acl = self._acl_field(parts.get("index"), params)
            params = params_without(params, acl, self._access, always=True)
            body = self._only_visible_ids(body, str(parts["index"]), acl)
        elif endpoint_id == "msearch":
            body = self._all_restricted(body, parts.get("index"), params)
        elif endpoint_id not in _ABOUT_INDICES:
            raise AccessError("This key may only read what its access groups can see.")
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
        """Remember which field protects an index, from its `_meta` that was read just now."""
        self._acl_fields[index] = (time.monotonic(), str(meta.get(ACL_FIELD) or ""))

    def _only_visible_ids(self, body: Any, index: str, acl_field: str) -> dict[str, Any]:  # noqa: ANN401
        """Replace the ids of hidden documents by unknown ones, so that both get the same answer."""
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
        """Return which field protects an index; "" for none. What is not one version of a collection is refused."""
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
            return _NO_FIELD  # an index made under this name a moment later must not be readable as a whole
        metas = [version["mappings"].get("_meta", {}) for version in found.body.values()]
        if len(metas) != 1 or "schema_version" not in metas[0]:
            raise AccessError("This caller may not search like that.")
        self.note_meta(index, metas[0])
        return self._acl_fields[index][1]


def guarded(client: Elasticsearch, access: Access) -> Elasticsearch:
    """Return the client through which a caller reads; an admin's is the client itself."""
    if access.is_admin:
        return client
    copy = client.options()
    # The client has no public way to a copy of another class that keeps address, credentials and timeouts.
    copy.__class__ = GuardedClient
    assert isinstance(copy, GuardedClient)  # noqa: S101 – for mypy
    copy._access, copy._acl_fields, copy.noted = access, {}, Noted()
    return copy
