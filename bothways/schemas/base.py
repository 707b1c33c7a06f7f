"""What all models have in common: requests are read strictly, answers tolerantly."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Request(BaseModel):
    """What a client sends. Unknown fields are refused, so that a misspelt option is noticed."""

    model_config = ConfigDict(extra="forbid")


class Response(BaseModel):
    """What a server returns, made of an object with the same attributes, or of JSON.

    Fields that this version does not know are ignored, and fields that an older server does not send have defaults, so
    that client and server may be of different versions. A server always sends all fields but those of `only_if_set`.
    """

    model_config = ConfigDict(
        extra="ignore", frozen=True, from_attributes=True, json_schema_serialization_defaults_required=True
    )


def only_if_set(description: str | None = None, **more: Any) -> Any:  # noqa: ANN401 – a field's default, as pydantic's `Field` is
    """Return a field that is None by default, and that JSON has only where it is not."""
    return Field(None, description=description, exclude_if=_is_none, **more)


def _is_none(value: object) -> bool:
    return value is None
