"""Indices of our own beside the collections (jobs, leases), made at their first use from es_mappings."""

from __future__ import annotations

import json
from importlib.resources import files

from elasticsearch import BadRequestError, Elasticsearch

from bothways.core.elastic.client import elasticsearch_errors


def create_from(client: Elasticsearch, file: str, index: str) -> None:
    """Create `index` as the file in es_mappings says, unless it is there."""
    with elasticsearch_errors(f"making the index {index}"):
        if client.indices.exists(index=index):
            return
        body = json.loads(files("bothways.es_mappings").joinpath(file).read_text(encoding="utf-8"))
        try:
            client.indices.create(index=index, **body)
        except BadRequestError as error:
            # Two processes may find it missing at the same moment; one of them makes it.
            if error.error != "resource_already_exists_exception":
                raise
