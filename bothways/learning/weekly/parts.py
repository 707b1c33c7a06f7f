"""What the steps of a weekly run work with, and what each of them returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from elasticsearch import Elasticsearch
from pydantic import Field

from bothways.core.elastic.client import Server
from bothways.core.settings import Settings
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.learning.arguments import Arguments
from bothways.learning.judgments.files import Outcome
from bothways.learning.judgments.holdout import Parts
from bothways.learning.judgments.judge import JudgmentThresholds
from bothways.learning.weekly.gate import Demands
from bothways.learning.weekly.history import Record
from bothways.models.llm.language_model import LanguageModel
from bothways.search.options import SearchOptions
from bothways.search.pipeline import Searcher

StepName = Literal["questions", "reranker", "synonyms"]
State = Literal["promoted", "refused", "proposed", "planned", "nothing", "skipped", "failed"]
"""`nothing`: there was nothing to do; `skipped`: it could not be done here; `planned`: a dry run."""

Progress = Callable[[str], None]
"""Called with what is being done now."""


class RunLimits(Arguments):
    """How much a run learns from and changes."""

    held_out: float = Field(default=0.25, ge=0.01, le=0.9, description="share of the questions that only the gate sees")
    max_share: float = Field(default=0.1, ge=0, le=1, description="share of the chunks that one run may change")
    min_positives: int = Field(default=100, ge=1, description="questions with an answer that fine-tuning needs")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run is to do.

    `days`: how far back feedback is read, None: all of it. `regression`: the frozen set, None where held-out judgments
    alone decide. `minutes`: of fine-tuning.
    """

    search: SearchOptions
    steps: Sequence[StepName] = ("questions", "reranker", "synonyms")
    days: float | None = 28.0
    thresholds: JudgmentThresholds = field(default_factory=JudgmentThresholds)
    limits: RunLimits = field(default_factory=RunLimits)
    regression: Sequence[JudgedQuery] | None = None
    demands: Demands = field(default_factory=Demands)
    minutes: float | None = None
    remove_refused: bool = False
    dry_run: bool = False
    check_clicks: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: its id and folder, what it works with, and what the users' feedback amounted to.

    `now` is the time until which feedback is read, in seconds since 1970. `llm` None: no language model is set.
    """

    run_id: str
    started_at: str
    collection: str
    folder: Path
    settings: Settings
    searcher: Searcher
    server: Server
    options: RunOptions
    outcome: Outcome
    parts: Parts
    llm: LanguageModel | None
    progress: Progress

    @property
    def client(self) -> Elasticsearch:
        """The client of all steps."""
        return self.searcher.client

    @property
    def record(self) -> Record:
        """The record of a promotion by this run, to be filled in."""
        return Record(
            run_id=self.run_id,
            collection=self.collection,
            started_at=self.started_at,
            state="promoting",
            from_index="",
            to_index="",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What became of a step: its state, the reason in a sentence, and its numbers for the report."""

    name: StepName
    state: State
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return what report.json says of the step."""
        return {"step": self.name, "state": self.state, "reason": self.reason, **self.details}
