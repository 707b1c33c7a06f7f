"""What paths and fields may hold, as the OpenAPI description says it.

It is only described here: the rooms below refuse what is wrong in words of their own, which say what to do.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path

NAME: dict[str, Any] = {"pattern": "^[a-z0-9][a-z0-9_-]*$", "minLength": 1, "maxLength": 100}
"""A collection's name (bothways/core/collections/collection.py)."""

NOT_EMPTY: dict[str, Any] = {"pattern": r"\S", "minLength": 1}

MOST_BYTES_OF_ID = 512
"""Elasticsearch's limit for an id."""

CollectionPath = Annotated[str, Path(description="the collection", json_schema_extra=NAME)]
DocumentPath = Annotated[
    str, Path(description="the document's id", json_schema_extra={"minLength": 1, "maxLength": MOST_BYTES_OF_ID})
]
JobPath = Annotated[
    str, Path(description="the job's id", json_schema_extra={"pattern": "^[0-9a-z-]+$", "maxLength": 100})
]
