"""Versions of a collection: a new index beside the old one, and the one moment in which the alias moves."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import structlog
from elasticsearch import BadRequestError, Elasticsearch

from core.collection import SCHEMA_VERSION, version_of
from core.elastic import elasticsearch_errors, reason

log = structlog.get_logger()


def chunk_mapping(*, embedding_model: str, dimension: int, analyzer: str, built_from: str = "") -> dict[str, Any]:
    """Give the settings and mappings of a chunks index: es_mappings/chunks.json with dimension and `_meta` set.

    `built_from` is the folder that the version was begun with, so that a rebuild is resumed from no other.
    """
    body: dict[str, Any] = json.loads(files("es_mappings").joinpath("chunks.json").read_text(encoding="utf-8"))
    properties = body["mappings"]["properties"]
    for vector in (properties["text_sem"], properties["questions"]["properties"]["text_sem"]):
        vector["dims"] = dimension
    body["mappings"]["_meta"] = {
        "embedding_model": embedding_model,
        "dimension": dimension,
        "analyzer": analyzer,
        "schema_version": SCHEMA_VERSION,
        "built_from": built_from,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return body


def versions(client: Elasticsearch, alias: str) -> dict[str, bool]:
    """List the versions behind an alias, oldest first, each with whether the alias points to it."""
    found = client.indices.get(index=f"{alias}-v*", expand_wildcards="all")
    own = {index: alias in body.get("aliases", {}) for index, body in found.body.items() if _is_version(index, alias)}
    return dict(sorted(own.items(), key=lambda item: version_of(item[0])))


def _is_version(index: str, alias: str) -> bool:
    return index.removeprefix(f"{alias}-v").isdigit()


def create_version(client: Elasticsearch, alias: str, mapping: dict[str, Any], *, synonyms: str = "") -> str:
    """Create the next index `{alias}-v{N}` without moving the alias; gives its name.

    `synonyms` are the (segmented) rules to fall back on where the server has no synonyms file, as on a cluster
    whose configuration is not ours: they are then part of the index and change only with the next version.
    """
    with elasticsearch_errors(f"creating a version of {alias}"):
        number = max((version_of(index) for index in versions(client, alias)), default=0) + 1
        index = f"{alias}-v{number}"
        try:
            client.indices.create(index=index, **mapping)
        except BadRequestError as error:
            if "synonym" not in reason(error).lower():
                raise
            log.warning("synonyms_file_missing", index=index, server_says=reason(error), instead="rules in the index")
            client.indices.create(index=index, **_inline_synonyms(mapping, synonyms))
    return index


def _inline_synonyms(mapping: dict[str, Any], synonyms: str) -> dict[str, Any]:
    body = deepcopy(mapping)
    rules = [line for line in synonyms.splitlines() if line.strip() and not line.startswith("#")]
    body["settings"]["analysis"]["filter"]["bothways_synonyms"] = {"type": "synonym_graph", "synonyms": rules}
    return body


def swap_alias(client: Elasticsearch, alias: str, *, to: str) -> None:
    """Point the alias to one index and to no other, in one atomic request."""
    with elasticsearch_errors(f"pointing {alias} to {to}"):
        client.indices.update_aliases(
            actions=[
                {"remove": {"index": f"{alias}-v*", "alias": alias, "must_exist": False}},
                {"add": {"index": to, "alias": alias, "is_write_index": True}},
            ]
        )
