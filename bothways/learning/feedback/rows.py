"""What is written down of a search and of what a user did with its answer, by the names of UBI's schema.

UBI is User Behavior Insights 1.0 (https://github.com/o19s/ubi); `kind` tells its queries from its events, which share
an index here, and `hits` is ours. Nothing says who asked: no key, no groups, no address.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

from bothways.core.results import Hit, SearchResult
from bothways.learning.feedback.wording import Wording
from bothways.schemas.names import Action

ACTIONS: tuple[Action, ...] = get_args(Action)


@dataclass(frozen=True, slots=True)
class Row:
    """A document that Elasticsearch will have exactly once, however often it is sent: by its id."""

    id: str
    source: Mapping[str, Any]


def query_row(result: SearchResult, wording: Wording, *, filtered: bool, now: float) -> Row:
    """Write a search down: what was asked, what was shown in which order, and where each leg had it.

    `now`: seconds since 1970.
    """
    asked = wording.of(result.query)
    words = {} if asked is None else {"user_query": asked}
    source = {
        "kind": "query",
        "application": result.collection,
        "query_id": result.query_id,
        "timestamp": at(now),
        **words,
        "indexes": [result.index],
        "query_response_hit_ids": [hit.chunk_id for hit in result.hits],
        "query_attributes": {
            "text": wording.kept,
            "strategy": result.strategy,
            "timings_ms": dict(result.timings_ms),
            "degraded": list(result.degraded),
            "rewritten": result.rewritten is not None,
            "filtered": filtered,
            "offset": result.offset,
            "total": result.total,
        },
        "hits": [_hit(hit, rank) for rank, hit in enumerate(result.hits, result.offset + 1)],
    }
    return Row(result.query_id, source)


def event_row(
    query_id: str,
    chunk_id: str,
    action: Action,
    *,
    shown: tuple[str, int] | None,
    asked: str | None = None,
    now: float,
) -> Row:
    """Write down what a user did with a chunk. `shown`: the collection and the rank, where they are remembered.

    `asked` is the question as its search kept it: Kibana cannot join, and so counts clicks by question.
    """
    attributes: dict[str, Any] = {"object": {"object_id": chunk_id, "object_id_field": "chunk_id"}}
    source: dict[str, Any] = {
        "kind": "event",
        "action_name": action,
        "query_id": query_id,
        "timestamp": at(now),
        "event_attributes": attributes,
    }
    if shown is not None:
        source["application"], rank = shown
        attributes["position"] = {"ordinal": rank}
        if asked is not None:
            source["user_query"] = asked
    return Row(uuid.uuid4().hex, source)


def at(seconds: float) -> str:
    """Return a time as rows have it: ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _hit(hit: Hit, rank: int) -> dict[str, Any]:
    legs = {leg: placed.rank for leg, placed in hit.legs.items()}
    row: dict[str, Any] = {
        "chunk_id": hit.chunk_id,
        "doc_id": hit.doc_id,
        "rank": rank,
        "score": hit.score,
        "legs": legs,
    }
    if hit.duplicates:
        row["copies"] = [copy.chunk_id for copy in hit.duplicates]
    return row
