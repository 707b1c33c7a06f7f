"""A finished build in as few segments as can be: each segment has a graph of its own, and a search walks them all."""

from __future__ import annotations

import math

import structlog
from elastic_transport import ConnectionTimeout
from elasticsearch import ApiError, Elasticsearch

from bothways.core.elastic.client import elasticsearch_errors, reason

log = structlog.get_logger()

LARGEST_BYTES = 4 * 1024**3
"""Elasticsearch merges by itself up to 5 GB; a larger segment would keep what is deleted in it for long."""
PATIENCE_S = 3600.0


def merge(client: Elasticsearch, index: str) -> bool:
    """Merge a new version's segments, whether it is live yet or not; searches go on meanwhile. True when it is done.

    Nothing depends on it but how fast searches are: where it may not be done, or takes longer than an hour (the server
    then goes on by itself), a warning says so.
    """
    with elasticsearch_errors(f"measuring {index}"):
        stats = client.indices.stats(index=index, metric="store")
    segments = max(1, math.ceil(int(stats["_all"]["primaries"]["store"]["size_in_bytes"]) / LARGEST_BYTES))
    with elasticsearch_errors(f"merging {index}"):
        try:
            client.options(request_timeout=PATIENCE_S, max_retries=0).indices.forcemerge(
                index=index, max_num_segments=segments
            )
        except ApiError as error:
            log.warning("not_merged", index=index, reason=reason(error))
            return False
        except ConnectionTimeout:
            log.warning("merging_takes_long", index=index, waited_s=PATIENCE_S)
            return False
    return True
