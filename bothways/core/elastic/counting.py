"""How much an index holds: its chunks and its documents, as far as searches could see them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from elastic_transport import ObjectApiResponse
from elasticsearch import ApiError, Elasticsearch

from bothways.core.collections.alias import AliasView
from bothways.core.elastic.client import elasticsearch_errors

_TRIES = 10
_LOOK_AGAIN_S = 0.2


def chunks_of(client: Elasticsearch, view: AliasView) -> dict[str, int]:
    """Count the chunks of each version, as far as searches could see them."""
    return {index: count_chunks(client, index) for index in view.versions}


def count_chunks(client: Elasticsearch, index: str) -> int:
    """Count the chunks of one version that searches could see; 0 if it is gone or closed."""
    with elasticsearch_errors(f"counting the chunks of {index}"):
        return int(_once_it_is_up(lambda: client.count(index=index, ignore_unavailable=True))["count"])


def _once_it_is_up(ask: Callable[[], ObjectApiResponse[Any]]) -> ObjectApiResponse[Any]:
    """Ask again for a moment if the shards of an index are not started yet, as in one that was just made."""
    for _ in range(_TRIES):
        try:
            return ask()
        except ApiError as error:
            if error.status_code != 503:
                raise
        time.sleep(_LOOK_AGAIN_S)
    return ask()


def count(client: Elasticsearch, index: str) -> tuple[int, int]:
    """Count an index's documents and chunks. Documents are exact up to 40,000, near (some per cent) above."""
    distinct = {"documents": {"cardinality": {"field": "doc_id", "precision_threshold": 40_000}}}
    with elasticsearch_errors(f"counting the documents of {index}"):
        # A rebuild may remove an index while collections are listed; that is no error.
        response = _once_it_is_up(
            lambda: client.search(index=index, ignore_unavailable=True, size=0, track_total_hits=True, aggs=distinct)
        )
    documents = response.get("aggregations", {}).get("documents", {}).get("value", 0)
    return int(documents), int(response["hits"]["total"]["value"])
