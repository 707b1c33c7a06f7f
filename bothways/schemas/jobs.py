"""`/api/v1/jobs`: indexing jobs."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, AliasPath, Field

from bothways.schemas.base import Response
from bothways.schemas.names import ENDED, JobKind, JobState


class JobFailure(Response):
    """One thing that did not work in a job."""

    item: str
    stage: str
    reason: str
    title: str = ""


class Job(Response):
    """An indexing job. `failures` and `skipped` have the first ones, `counts` all. Times are ISO 8601 in UTC."""

    id: str
    collection: str
    kind: JobKind
    state: JobState
    who: str = Field("", validation_alias=AliasChoices(AliasPath("holder", "who"), "who"))
    source: str = ""
    files: list[str] = Field(default_factory=list)
    options: dict[str, Any] = Field(default_factory=dict)
    index: str = ""
    counts: dict[str, int | float]
    failures: list[JobFailure]
    skipped: list[tuple[str, str]] = Field(default_factory=list)
    error: str
    cancel_requested: bool = False
    retry_of: str | None = None
    created: str
    started: str | None = None
    heartbeat: str | None = None
    finished: str | None = None
    seconds: float = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether nothing happens to it any more."""
        return self.state in ENDED


class JobList(Response):
    """Jobs, newest first; `total` counts all that fit."""

    total: int
    jobs: list[Job]
