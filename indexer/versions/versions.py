"""Versions of a collection: a new index beside the old one, and the one moment in which the alias moves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import structlog
from elasticsearch import AuthorizationException, BadRequestError, Elasticsearch

from bothways.core.collections.alias import is_version
from bothways.core.collections.collection import ACL_FIELD, SCHEMA_VERSION, version_of
from bothways.core.collections.version_state import as_state
from bothways.core.elastic.client import elasticsearch_errors, reason
from bothways.indexer.synonyms.sources import FILTER, set_for_new_index

log = structlog.get_logger()

TEMPLATE = "bothways-versions"
"""The index template by which Elasticsearch makes no version by itself."""
TEMPLATE_PRIORITY = 500


def chunk_mapping(
    *,
    embedding_model: str,
    dimension: int,
    analyzer: str,
    built_from: str = "",
    chunker: str | None = None,
    max_chars: int | None = None,
    acl_field: str = "",
) -> dict[str, Any]:
    """Return the settings and mappings of a chunks index: es_mappings/chunks.json with dimension and `_meta` set.

    `built_from` is the folder or file that the version was begun with, so that a rebuild is resumed from no other.
    `chunker` and `max_chars` say how its documents are cut; `acl_field` is the metadata field of the access groups.
    """
    body = _chunks_json()
    properties = body["mappings"]["properties"]
    for vector in (properties["text_sem"], properties["questions"]["properties"]["text_sem"]):
        vector["dims"] = dimension
    body["mappings"]["_meta"] = {
        "embedding_model": embedding_model,
        "dimension": dimension,
        "analyzer": analyzer,
        "schema_version": SCHEMA_VERSION,
        "built_from": built_from,
        "chunker": chunker,
        "max_chars": max_chars,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **as_state("building"),
        **({ACL_FIELD: acl_field} if acl_field else {}),
    }
    return body


def _chunks_json() -> dict[str, Any]:
    body: dict[str, Any] = json.loads(files("bothways.es_mappings").joinpath("chunks.json").read_text(encoding="utf-8"))
    return body


def add_new_fields(client: Elasticsearch, index: str) -> None:
    """Return an index of an older Bothways the fields that chunks.json has gained since; what is in it stays as it is.

    Its schema is strict, so that writing to it would fail otherwise. A field that changed needs a new version.
    """
    current = _chunks_json()["mappings"]["properties"]
    with elasticsearch_errors(f"adding new fields to {index}"):
        there = client.indices.get_mapping(index=index)[index]["mappings"].get("properties", {})
        missing = {name: field for name, field in current.items() if name not in there}
        if missing:
            client.indices.put_mapping(index=index, properties=missing)
            log.info("fields_added", index=index, fields=sorted(missing))


def note(client: Elasticsearch, index: str, **facts: str | int | None) -> None:
    """Write facts about a version into its `_meta`, beside what stands there; None takes one out."""
    with elasticsearch_errors(f"noting what became of {index}"):
        meta = client.indices.get_mapping(index=index)[index]["mappings"].get("_meta", {})
        kept = {name: value for name, value in (meta | facts).items() if value is not None}
        client.indices.put_mapping(index=index, meta=kept)


def versions(client: Elasticsearch, alias: str) -> dict[str, bool]:
    """List the versions behind an alias, oldest first, each with whether the alias points to it."""
    found = client.indices.get(index=f"{alias}-v*", expand_wildcards="all")
    own = {index: alias in body.get("aliases", {}) for index, body in found.body.items() if is_version(index, alias)}
    return dict(sorted(own.items(), key=lambda item: version_of(item[0])))


def create_version(client: Elasticsearch, alias: str, mapping: dict[str, Any], *, synonyms: str = "") -> str:
    """Create the next index `{alias}-v{N}` without moving the alias; returns its name.

    `synonyms` are the (segmented) rules to fall back on where the server has no synonyms file, as on a cluster
    whose configuration is not ours: they become a set of the server's synonyms API, and where it has none, a part of
    the index that changes only with the next version.
    """
    with elasticsearch_errors(f"creating a version of {alias}"):
        _forbid_auto_creation(client)
        number = max((version_of(index) for index in versions(client, alias)), default=0) + 1
        index = f"{alias}-v{number}"
        try:
            client.indices.create(index=index, **mapping)
        except BadRequestError as error:
            if "synonym" not in reason(error).lower():
                raise
            body = _without_file(client, mapping, synonyms)
            now_in = body["settings"]["analysis"]["filter"][FILTER].get("synonyms_set", "the index")
            log.warning("synonyms_file_missing", index=index, server_says=reason(error), instead=f"rules in {now_in}")
            client.indices.create(index=index, **body)
    return index


def _forbid_auto_creation(client: Elasticsearch) -> None:
    """Let no late write bring a version back that was deleted meanwhile: its fields would be guessed."""
    try:
        client.indices.put_index_template(
            name=TEMPLATE, index_patterns=["bothways-*-v*"], allow_auto_create=False, priority=TEMPLATE_PRIORITY
        )
    except (AuthorizationException, BadRequestError) as error:
        # A key without rights over templates, or a template of somebody else's for these names: both may be.
        log.info("index_template_not_set", template=TEMPLATE, reason=reason(error))


def _without_file(client: Elasticsearch, mapping: dict[str, Any], synonyms: str) -> dict[str, Any]:
    """Let an index take its rules from a set of the synonyms API, and where there is none, from its own settings."""
    rules = [line for line in synonyms.splitlines() if line.strip() and not line.startswith("#")]
    set_id = set_for_new_index(client, rules)
    its_filter = {"synonyms_set": set_id, "updateable": True} if set_id else {"synonyms": rules}
    body = deepcopy(mapping)
    body["settings"]["analysis"]["filter"][FILTER] = {"type": "synonym_graph", **its_filter}
    return body


def swap_alias(client: Elasticsearch, alias: str, *, to: str, away_from: Sequence[str] = ()) -> None:
    """Point the alias to one index and to no other version, in one atomic request.

    `away_from` are indices that are no versions and have the alias all the same.
    """
    with elasticsearch_errors(f"pointing {alias} to {to}"):
        client.indices.update_aliases(
            actions=[
                {"remove": {"index": f"{alias}-v*", "alias": alias, "must_exist": False}},
                *({"remove": {"index": index, "alias": alias}} for index in away_from),
                {"add": {"index": to, "alias": alias, "is_write_index": True}},
            ]
        )
