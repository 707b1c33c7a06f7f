"""Settings of a version that is being built: no graphs for its vectors, no refreshes, no replicas.

The graphs are built once, when the finished version is merged (indexer/versions/merge.py), and not again for each
segment and each merge of segments; until then vectors are compared one by one. The settings for afterwards are kept in
the index's `_meta` during the build, so that any later process can restore them, however the build ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import structlog
from elasticsearch import Elasticsearch

from bothways.core.elastic.client import elasticsearch_errors

log = structlog.get_logger()

BUILD_SETTINGS: Mapping[str, Any] = {"refresh_interval": "-1", "auto_expand_replicas": "false", "number_of_replicas": 0}
"""The translog stays synchronous: what a job counts as indexed must survive when the server dies."""

WHEN_BUILT = "when_built"
"""Where `_meta` keeps what to restore: `index_options` by vector field, and `settings` (null: the server's default)."""

UNMERGED = "unmerged"
"""In `_meta` until all segments that were written without graphs have them; that may be long after `end_build`."""

_WITHOUT_GRAPH = {"hnsw": "flat", "int8_hnsw": "int8_flat", "int4_hnsw": "int4_flat", "bbq_hnsw": "bbq_flat"}
_OF_GRAPHS = {"m", "ef_construction"}


def without_graphs(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body to create an index with (settings and mappings), without graphs for its vectors."""
    quiet = deepcopy(dict(body))
    wanted = {}
    for path, field in vector_fields(quiet["mappings"]["properties"]):
        options = field.get("index_options", {})
        if options.get("type") in _WITHOUT_GRAPH:
            wanted[path] = options
            kept = {name: value for name, value in options.items() if name not in _OF_GRAPHS}
            field["index_options"] = kept | {"type": _WITHOUT_GRAPH[options["type"]]}
    quiet["mappings"]["_meta"] = quiet["mappings"].get("_meta", {}) | {
        WHEN_BUILT: {"index_options": wanted},
        UNMERGED: True,
    }
    return quiet


def begin_build(client: Elasticsearch, index: str) -> None:
    """Turn refreshes and replicas off on a new index; its `_meta` keeps what they were."""
    with elasticsearch_errors(f"preparing {index} for its build"):
        now = client.indices.get_settings(index=index, flat_settings=True)[index]["settings"]
        wanted = {name: now.get(f"index.{name}") for name in BUILD_SETTINGS}
        if wanted["auto_expand_replicas"] not in {None, "false"}:
            del wanted["number_of_replicas"]  # follows from the other, and from how many nodes there are
        meta = _mappings(client, index).get("_meta", {})
        # Kept first: if the process dies between the two requests, the index still has these settings.
        when_built = meta.get(WHEN_BUILT, {}) | {"settings": wanted}
        client.indices.put_mapping(index=index, meta=meta | {WHEN_BUILT: when_built})
        client.indices.put_settings(index=index, settings=dict(BUILD_SETTINGS))


def end_build(client: Elasticsearch, index: str) -> bool:
    """Restore the settings of an index and make all its documents visible; return False if it was not being built.

    Segments that are there already get their graphs when they are merged.
    """
    with elasticsearch_errors(f"ending the build of {index}"):
        mappings = _mappings(client, index)
        wanted = mappings.get("_meta", {}).get(WHEN_BUILT)
        if wanted is None:
            return False
        properties = mappings["properties"]
        for path, field in vector_fields(properties):
            field["index_options"] = wanted.get("index_options", {}).get(path, field.get("index_options"))
        vectors = {name: field for name, field in properties.items() if any(vector_fields({name: field}))}
        client.indices.put_mapping(index=index, properties=vectors)
        if wanted.get("settings"):
            client.indices.put_settings(index=index, settings=wanted["settings"])
        client.indices.refresh(index=index)
        # Read again: during the refresh another process may have written to `_meta`.
        meta = {name: value for name, value in _mappings(client, index).get("_meta", {}).items() if name != WHEN_BUILT}
        client.indices.put_mapping(index=index, meta=meta)
    log.info("build_settings_restored", index=index)
    return True


def is_building(meta: Mapping[str, Any]) -> bool:
    """Return whether an index is being built, from its `_meta`."""
    return WHEN_BUILT in meta


def vector_fields(properties: Mapping[str, Any], below: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Return each vector field of a mapping with its path, as in `questions.text_sem`."""
    for name, field in properties.items():
        if field.get("type") == "dense_vector":
            yield below + name, field
        yield from vector_fields(field.get("properties", {}), f"{below}{name}.")


def _mappings(client: Elasticsearch, index: str) -> dict[str, Any]:
    found: dict[str, Any] = client.indices.get_mapping(index=index)[index]["mappings"]
    return found
