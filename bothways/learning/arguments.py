"""Arguments that are checked when they are given."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Arguments(BaseModel):
    """Named values with descriptions, defaults and limits; the command line sets them by `--set NAME=VALUE`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
