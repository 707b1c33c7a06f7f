"""Where feedback ends: one index a month in Elasticsearch, written by id, read as streams, removed by age.

Plain indices and no data stream: not every distribution of Elasticsearch has that module, and whole months go as well.
The dot in the names keeps them apart from all collections, whose names cannot have one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Literal

import structlog
from elasticsearch import ApiError, AuthorizationException, BadRequestError, Elasticsearch
from elasticsearch.helpers import scan

from bothways.core.elastic.client import elasticsearch_errors, reason
from bothways.core.elastic.mappings import create_from
from bothways.core.errors import ElasticsearchError
from bothways.learning.feedback.rows import Row

log = structlog.get_logger()

PREFIX = "bothways-feedback"
TEMPLATE_PRIORITY = 501
"""Above that of the versions' template, which has nothing to say here."""
TIMEOUT_S = 10.0
DAY_S = 86_400.0

Kind = Literal["query", "event"]

_PAGE = 500
_OF_THE_CLUSTER = frozenset({"index_closed_exception", "cluster_block_exception"})
"""Errors with status 400 for which the document is not to blame."""
_WHOLE_REQUEST = frozenset({400, 413})


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many searches and events there are: `actions` by name, `months` by index."""

    queries: int
    events: int
    actions: Mapping[str, int]
    collections: Mapping[str, int]
    months: Mapping[str, int]


class FeedbackStore:
    """The feedback of one Elasticsearch. Every method may raise `ElasticsearchError`. `prefix` names its indices."""

    def __init__(self, client: Elasticsearch, *, prefix: str = PREFIX) -> None:
        self._client = client.options(request_timeout=TIMEOUT_S, max_retries=0)
        self._prefix = prefix
        self._pattern = f"{prefix}-*.*"
        self._prepared: set[str] = set()

    def write(self, rows: Sequence[Row]) -> list[tuple[Row, str]]:
        """Store rows once each, by their ids; returns those that are not acceptable, with the server's reason.

        Raises where the server takes nothing now, or not all: send the same rows again.
        """
        for index in {self._index_of(row) for row in rows} - self._prepared:
            self._prepare(index)
        return list(self._send(rows)) if rows else []

    def remove_old(self, *, now: float, days: int) -> list[str]:
        """Remove the months that ended `days` ago or earlier; returns their indices. `now`: seconds since 1970."""
        with elasticsearch_errors("removing old feedback"):
            old = [index for index in self._months() if _end_of(index) <= now - days * DAY_S]
            for index in old:
                self._client.options(ignore_status=404).indices.delete(index=index)
                self._prepared.discard(index)
        return old

    def counts(self, collection: str | None = None) -> Counts:
        """Count what there is, of all collections or of one."""
        terms: dict[str, dict[str, Any]] = {
            "kinds": {"terms": {"field": "kind"}},
            "actions": {"terms": {"field": "action_name"}},
            "collections": {"terms": {"field": "application", "size": 1000}},
            "months": {"terms": {"field": "_index", "size": 1000}},
        }
        with elasticsearch_errors("counting feedback"):
            found = self._client.search(
                index=self._pattern, size=0, query=_matching(collection=collection), aggregations=terms
            )
        counted = {
            name: {bucket["key"]: int(bucket["doc_count"]) for bucket in aggregation["buckets"]}
            for name, aggregation in found.get("aggregations", {}).items()
        }
        kinds = counted.get("kinds", {})
        return Counts(
            queries=kinds.get("query", 0),
            events=kinds.get("event", 0),
            actions=counted.get("actions", {}),
            collections=counted.get("collections", {}),
            months=dict(sorted(counted.get("months", {}).items())),
        )

    def last(self, *, size: int, collection: str | None = None) -> list[dict[str, Any]]:
        """Return the latest searches and events, newest first."""
        with elasticsearch_errors("reading feedback"):
            found = self._client.search(
                index=self._pattern,
                size=size,
                query=_matching(collection=collection),
                sort=[{"timestamp": {"order": "desc", "unmapped_type": "date"}}],
            )
        return [hit["_source"] for hit in found["hits"]["hits"]]

    def stream(
        self,
        kind: Kind,
        *,
        collection: str | None = None,
        or_unnamed: bool = False,
        since: str | None = None,
        until: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Stream searches or events from `since` on and before `until` (ISO 8601), a page at a time, in any order.

        `or_unnamed` brings those that name no collection, too.
        """
        query = _matching(kind=kind, collection=None if or_unnamed else collection, since=since, until=until)
        if or_unnamed and collection is not None:
            others = {"bool": {"filter": {"exists": {"field": "application"}}, "must_not": _of(collection)}}
            query["bool"]["must_not"] = [others]
        body = {"query": query}
        with elasticsearch_errors("reading feedback"):
            for hit in scan(self._client, index=self._pattern, query=body, size=_PAGE):
                yield hit["_source"]

    def _months(self) -> list[str]:
        name = re.compile(re.escape(self._prefix) + r"-\d{4}\.\d{2}")
        found = self._client.indices.get(index=self._pattern, expand_wildcards="all")
        return sorted(index for index in found.body if name.fullmatch(index))

    def _index_of(self, row: Row) -> str:
        year, month = str(row.source["timestamp"])[:7].split("-")
        return f"{self._prefix}-{year}.{month}"

    def _prepare(self, index: str) -> None:
        """Make a month's index; the template makes it anew in the same form where somebody removes it meanwhile."""
        body = json.loads(files("bothways.es_mappings").joinpath("feedback.json").read_text(encoding="utf-8"))
        with elasticsearch_errors(f"preparing {index}"):
            try:
                self._client.indices.put_index_template(
                    name=self._prefix, index_patterns=[self._pattern], template=body, priority=TEMPLATE_PRIORITY
                )
            except (AuthorizationException, BadRequestError) as error:
                # A key without rights over templates, or a template of somebody else's for these names: both may be.
                log.info("index_template_not_set", template=self._prefix, reason=reason(error))
        create_from(self._client, "feedback.json", index)
        self._prepared.add(index)

    def _send(self, rows: Sequence[Row]) -> Iterator[tuple[Row, str]]:
        lines: list[Mapping[str, Any]] = []
        for row in rows:
            lines += [{"create": {"_index": self._index_of(row), "_id": row.id}}, row.source]
        try:
            answer = self._client.bulk(operations=lines)
        except ApiError as error:
            if error.status_code not in _WHOLE_REQUEST:
                with elasticsearch_errors("storing feedback"):
                    raise
            if len(rows) == 1:
                yield rows[0], reason(error)
                return
            # One row of them is not acceptable, or they are too much at once: found by halves.
            half = len(rows) // 2
            yield from self._send(rows[:half])
            yield from self._send(rows[half:])
            return
        for row, item in zip(rows, answer["items"], strict=True):
            why = self._outcome(item["create"])
            if why:
                yield row, why

    def _outcome(self, item: Mapping[str, Any]) -> str:
        """Return why a row is not acceptable, "" where it is stored; raises where it is worth another try."""
        status = int(item["status"])
        if status < 300 or status == 409:  # 409: it was sent before, and the answer was lost
            return ""
        error = item.get("error", {})
        why = f"{error.get('type')}: {error.get('reason')}"
        if status == 400 and error.get("type") not in _OF_THE_CLUSTER:
            return why
        self._prepared.clear()
        raise ElasticsearchError(f"Elasticsearch failed while storing feedback: {why} [HTTP {status}]")


def _matching(
    *,
    kind: Kind | None = None,
    collection: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> dict[str, Any]:
    filters: list[dict[str, Any]] = [] if kind is None else [{"term": {"kind": kind}}]
    if collection is not None:
        filters.append(_of(collection))
    between = {name: value for name, value in {"gte": since, "lt": until}.items() if value is not None}
    if between:
        filters.append({"range": {"timestamp": between}})
    return {"bool": {"filter": filters}}


def _of(collection: str) -> dict[str, Any]:
    return {"term": {"application": collection}}


def _end_of(index: str) -> float:
    """Return the moment at which a month's index takes no more, in seconds since 1970."""
    year, month = (int(part) for part in index.rsplit("-", 1)[1].split("."))
    following = (year + 1, 1) if month == 12 else (year, month + 1)
    return datetime(*following, 1, tzinfo=UTC).timestamp()
