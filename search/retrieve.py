"""All legs in one `_msearch`: bodies in, one ranking a leg out, and the names of the legs that failed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from elasticsearch import Elasticsearch

from core.datatypes import Hit, Leg, LegScore
from core.elastic import elasticsearch_errors
from core.errors import CollectionNotFoundError, ElasticsearchError
from search.bodies import msearch_lines
from search.paging import in_order

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What the legs brought: their rankings, those that failed, and the server's own ms."""

    legs: dict[Leg, list[Hit]]
    failed: list[Leg] = field(default_factory=list)
    took_ms: float = 0.0


def retrieve(
    client: Elasticsearch, bodies: Mapping[Leg, Mapping[str, Any]], *, index: str, preference: str | None = None
) -> Retrieved:
    """Ask all legs at once; a failed leg is left out and named. `preference`: see `search.paging`.

    Raises `ElasticsearchError` when no leg answered, and `CollectionNotFoundError` when the index is not there.
    """
    with elasticsearch_errors("searching"):
        response = client.msearch(searches=msearch_lines(bodies, index=index, preference=preference))
    legs: dict[Leg, list[Hit]] = {}
    failed: dict[Leg, str] = {}
    for leg, answer in zip(bodies, response["responses"], strict=True):
        if "error" in answer:
            failed[leg] = _why(answer["error"])
        else:
            legs[leg] = [to_hit(hit, leg, rank) for rank, hit in enumerate(in_order(answer["hits"]["hits"]), start=1)]
    if failed and not _exists(client, index):
        name = re.sub(r"-v\d+$", "", index.removeprefix("bothways-"))
        raise CollectionNotFoundError(f"There is no collection {name!r} any more; see `bothways collections`.")
    for leg, reason in failed.items():
        log.warning("leg_failed", leg=leg, reason=reason)
    if not legs:
        raise ElasticsearchError(f"Elasticsearch failed while searching: {'; '.join(sorted(set(failed.values())))}")
    return Retrieved(legs, list(failed), float(response["took"]))


def _exists(client: Elasticsearch, index: str) -> bool:
    """Tell whether an index is there; one that is removed under a search fails its legs, or some, in many ways."""
    with elasticsearch_errors("searching"):
        return bool(client.indices.exists(index=index))


def _why(error: Mapping[str, Any]) -> str:
    causes = error.get("root_cause") or [error]
    return str(causes[0].get("reason") or error.get("reason"))


def to_hit(hit: Mapping[str, Any], leg: Leg, rank: int) -> Hit:
    """Make a hit of one of Elasticsearch's, remembering the leg, rank and score that it comes with."""
    source = hit["_source"]
    score = float(hit["_score"])
    return Hit(
        chunk_id=hit["_id"],
        score=score,
        doc_id=source["doc_id"],
        position=source["position"],
        title=source["title"],
        text=source["text"],
        source=source["source"],
        metadata=source.get("metadata", {}),
        legs={leg: LegScore(rank, score, _matched(hit))},
    )


def _matched(hit: Mapping[str, Any]) -> str | None:
    for inner in hit.get("inner_hits", {}).values():
        for child in inner["hits"]["hits"]:
            for nested in child.get("fields", {}).get("questions", []):
                return str(nested["text"][0])
    return None
