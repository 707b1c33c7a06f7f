"""`/api/v1/collections`: collections with their versions, and what can be done with them."""

from __future__ import annotations

from pydantic import Field

from bothways.schemas.base import Request, Response
from bothways.schemas.names import VersionState


class Version(Response):
    """One version of a collection. `kept` and `rolled back` ones can be gone back to.

    `unknown`: one of an older Bothways in a collection whose alias is lost.
    """

    index: str
    number: int
    state: VersionState
    chunks: int
    embedding_model: str
    dimension: int
    chunker: str | None = None
    max_chars: int | None = None
    created_at: str


class Collection(Response):
    """One collection and what it was built with; `chunker` and `max_chars` are null where that was not noted.

    `acl_field`: the metadata field of the access groups, if any. `problem`: what is wrong
    with its alias, and what to do; where it cannot be searched, `index` is empty and `versions` has all that is known.
    """

    name: str
    index: str = ""
    documents: int = 0
    chunks: int = 0
    embedding_model: str = ""
    dimension: int = 0
    analyzer: str = ""
    chunker: str | None = None
    max_chars: int | None = None
    metadata_fields: list[str] = Field(default_factory=list)
    acl_field: str | None = None
    versions: list[Version] = Field(default_factory=list)
    problem: str | None = None


class AclRequest(Request):
    """Which metadata field holds the access groups of a collection's documents; null: everybody may see them."""

    field: str | None = Field(max_length=200)


class Rollback(Response):
    """Which version searches went to, which they go to now, and what has to be set for it, if anything."""

    collection: str
    left: str
    index: str
    embedding_model: str
    advice: str | None
