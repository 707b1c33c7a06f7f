"""What a server says of itself, and of what went wrong."""

from __future__ import annotations

from typing import Any, Literal

from bothways.schemas.base import Response, only_if_set


class Live(Response):
    """The process runs."""

    status: Literal["live"] = "live"


class Health(Response):
    """A search can be answered, by this version of Elasticsearch and with this model."""

    status: Literal["ready"] = "ready"
    elasticsearch: str
    licence: str
    embedding_model: str


class Problem(Response):
    """An error, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str | None = only_if_set()
    errors: list[dict[str, Any]] | None = only_if_set()
