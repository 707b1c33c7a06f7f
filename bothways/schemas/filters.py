"""Conditions on metadata, as a request has them (bothways/search/query/filters.py makes clauses of them)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

Scalar = str | int | float | bool
Bound = str | int | float

OPERATORS = ("gte", "gt", "lte", "lt", "exists", "not", "any")

Values = Annotated[list[Scalar], Field(min_length=1, max_length=1000)]


def _kind(value: object) -> str:
    return "operators" if isinstance(value, dict | BaseModel) else "values" if isinstance(value, list) else "value"


class Operators(BaseModel):
    """What a metadata field must fulfil, all of it. Bounds are numbers, or dates such as 2020, 2020-05, 2020-05-01."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    gte: Bound | None = Field(None, description="from this on")
    gt: Bound | None = Field(None, description="above this")
    lte: Bound | None = Field(None, description="up to this")
    lt: Bound | None = Field(None, description="below this")
    exists: bool | None = Field(None, strict=True, description="whether the field is there")
    not_: Condition | None = Field(None, alias="not", description="a condition that must not hold")
    any: list[Condition] | None = Field(None, description="conditions of which one must hold", min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:  # noqa: ANN401 – as it came
        unknown = [key for key in data if key not in OPERATORS] if isinstance(data, dict) else []
        if unknown:
            raise ValueError(f"there is no operator {str(unknown[0])[:40]!r}; there are: {', '.join(OPERATORS)}")
        return data


Condition = Annotated[
    Annotated[Scalar, Tag("value")] | Annotated[Values, Tag("values")] | Annotated[Operators, Tag("operators")],
    Discriminator(_kind),
]
