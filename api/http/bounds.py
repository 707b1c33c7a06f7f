"""What paths and fields may hold, as the OpenAPI description says it.

It is only described here: the rooms below refuse what is wrong in words of their own, which say what to do.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from bothways.schemas.bounds import NAME

MOST_BYTES_OF_ID = 512
"""Elasticsearch's limit for an id."""

CollectionPath = Annotated[str, Path(description="the collection", json_schema_extra=NAME)]
DocumentPath = Annotated[
    str, Path(description="the document's id", json_schema_extra={"minLength": 1, "maxLength": MOST_BYTES_OF_ID})
]
JobPath = Annotated[
    str, Path(description="the job's id", json_schema_extra={"pattern": "^[0-9a-z-]+$", "maxLength": 100})
]
