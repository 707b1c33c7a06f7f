"""All legs in one `_msearch`: bodies in, one ranking a leg out, and the names of the legs that failed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from elastic_transport import ConnectionTimeout
from elasticsearch import Elasticsearch

from bothways.core.collections.collection import Collection
from bothways.core.datatypes import Leg
from bothways.core.elastic.client import NO_ROOM_NOW, elasticsearch_errors
from bothways.core.errors import (
    CollectionNotFoundError,
    ElasticsearchError,
    ElasticsearchUnavailableError,
    SearchTimeoutError,
)
from bothways.core.results import Hit, LegScore
from bothways.search.options import SEARCH_TIMEOUT_MS
from bothways.search.retrieve.bodies import VECTOR_FIELDS, msearch_lines
from bothways.search.retrieve.paging import in_order

log = structlog.get_logger()

_GRACE_MS = 500.0
"""Time beyond the deadline of the legs in which the server sends what they have found by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """The rankings of the legs, those that failed, and those that ran out of time."""

    legs: dict[Leg, list[Hit]] = field(default_factory=dict)
    failed: list[Leg] = field(default_factory=list)
    cut_short: list[Leg] = field(default_factory=list)

    @property
    def degraded(self) -> list[Leg]:
        """The legs whose hits are missing, or not complete."""
        return [*self.failed, *self.cut_short]


def retrieve_from(
    client: Elasticsearch,
    collection: Collection,
    bodies: Mapping[Leg, Mapping[str, Any]],
    *,
    timeout_ms: float,
    preference: str | None = None,
) -> Retrieved:
    """Search the legs of one version of a collection; a leg fails where the version lacks its vectors.

    The server reports no error for a kNN search of a missing field, only no hits.
    """
    missing: list[Leg] = [leg for leg in bodies if leg != "bm25" and VECTOR_FIELDS[leg] not in collection.vectors]
    usable = {leg: body for leg, body in bodies.items() if leg not in missing}
    if not usable:
        raise ElasticsearchError(f"{collection.index} has no vectors to search: build it again with --recreate.")
    retrieved = retrieve(client, usable, index=collection.index, timeout_ms=timeout_ms, preference=preference)
    return replace(retrieved, failed=[*missing, *retrieved.failed])


def retrieve(
    client: Elasticsearch,
    bodies: Mapping[Leg, Mapping[str, Any]],
    *,
    index: str,
    timeout_ms: float = SEARCH_TIMEOUT_MS,
    preference: str | None = None,
) -> Retrieved:
    """Search all legs at once; a leg that fails is named, so is one that is cut short at `timeout_ms`.

    `preference`: see `bothways.search.retrieve.paging`. Raises `ElasticsearchError` when no leg answered,
    `CollectionNotFoundError` when the index is not there, and `SearchTimeoutError` when a node hangs.
    """
    timed = {leg: {"timeout": f"{timeout_ms:.0f}ms", **body} for leg, body in bodies.items()}
    with elasticsearch_errors("searching"), _in_time(timeout_ms):
        response = client.msearch(searches=msearch_lines(timed, index=index, preference=preference))
    legs: dict[Leg, list[Hit]] = {}
    failed: dict[Leg, str] = {}
    cut_short: list[Leg] = []
    for leg, answer in zip(bodies, response["responses"], strict=True):
        if "error" in answer:
            failed[leg] = _why(answer["error"])
        else:
            legs[leg] = [to_hit(hit, leg, rank) for rank, hit in enumerate(in_order(answer["hits"]["hits"]), start=1)]
            if answer.get("timed_out") or answer.get("_shards", {}).get("failed"):
                log.warning("leg_cut_short", leg=leg, hits=len(legs[leg]), timeout_ms=timeout_ms)
                cut_short.append(leg)
    if failed and not _exists(client, index):
        name = re.sub(r"-v\d+$", "", index.removeprefix("bothways-"))
        raise CollectionNotFoundError(f"There is no collection {name!r} any more; see `bothways collections`.")
    for leg, reason in failed.items():
        log.warning("leg_failed", leg=leg, reason=reason)
    if not legs:
        why = f"Elasticsearch failed while searching: {'; '.join(sorted(set(failed.values())))}"
        if all(answer.get("status") in NO_ROOM_NOW for answer in response["responses"]):
            raise ElasticsearchUnavailableError(
                f"{why}. It is overloaded, or some of its shards are missing: try again in a moment."
            )
        raise ElasticsearchError(why)
    return Retrieved(legs=legs, failed=list(failed), cut_short=cut_short)


def reader(client: Elasticsearch, *, timeout_ms: float) -> Elasticsearch:
    """Return a client for the requests of searches, which gives up a little after the server's own deadline."""
    return client.options(request_timeout=(timeout_ms + _GRACE_MS) / 1000)


@contextmanager
def _in_time(timeout_ms: float) -> Iterator[None]:
    try:
        yield
    except ConnectionTimeout as error:
        raise SearchTimeoutError(
            f"Elasticsearch did not answer the search within {timeout_ms:.0f} ms, so a "
            "node of it hangs or is overloaded; see `bothways es status`."
        ) from error


def _exists(client: Elasticsearch, index: str) -> bool:
    """Return whether an index is there; legs fail in many ways when it is removed during a search."""
    with elasticsearch_errors("searching"):
        return bool(client.indices.exists(index=index))


def _why(error: Mapping[str, Any]) -> str:
    causes = error.get("root_cause") or [error]
    return str(causes[0].get("reason") or error.get("reason"))


def to_hit(hit: Mapping[str, Any], leg: Leg, rank: int) -> Hit:
    """Read one of Elasticsearch's hits, with the leg, rank and score that it comes with."""
    source = hit.get("_source") or {}
    score = float(hit["_score"])
    return Hit(
        chunk_id=hit["_id"],
        score=score,
        # Other programs that write chunks into an index may leave fields out.
        doc_id=source.get("doc_id") or hit["_id"],
        position=source.get("position") or 0,
        title=source.get("title") or "",
        text=source.get("text") or "",
        source=source.get("source") or "",
        metadata=_as_text(source.get("metadata")),
        legs={leg: LegScore(rank=rank, score=score, matched=_matched(hit))},
    )


def _as_text(metadata: object) -> dict[str, str | list[str]]:
    """Return metadata as our readers write it; what is neither text nor a list of texts is left out."""
    if not isinstance(metadata, Mapping):
        return {}
    return {name: value for name, value in metadata.items() if isinstance(value, str) or _is_texts(value)}


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _matched(hit: Mapping[str, Any]) -> str | None:
    for inner in hit.get("inner_hits", {}).values():
        for child in inner["hits"]["hits"]:
            for nested in child.get("fields", {}).get("questions", []):
                return str(nested["text"][0])
    return None
