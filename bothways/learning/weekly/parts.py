"""What the steps of a weekly run are told and work with, and what each of them gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from elasticsearch import Elasticsearch

from bothways.core.elastic.client import Server
from bothways.core.settings import Settings
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.learning.judgments.files import Outcome
from bothways.learning.judgments.holdout import Parts
from bothways.learning.judgments.judge import Bounds
from bothways.learning.weekly.gate import Demands
from bothways.learning.weekly.history import Record
from bothways.models.llm.language_model import LanguageModel
from bothways.search.options import SearchOptions
from bothways.search.pipeline import Searcher

StepName = Literal["questions", "reranker", "synonyms"]
State = Literal["promoted", "refused", "proposed", "planned", "nothing", "skipped", "failed"]
"""`nothing`: there was nothing to do; `skipped`: it could not be done here; `planned`: a dry run."""

Tell = Callable[[str], None]
"""Called with what is being done now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a run is to do.

    `days`: how far back feedback is read, None: all of it. `held_out`: share of the questions that only the gate sees.
    `max_share`: of the chunks that one run may change. `regression`: the frozen set, None where held-out judgements
    alone decide. `min_positives`: questions with a certain answer that fine-tuning needs. `minutes`: of fine-tuning.
    """

    options: SearchOptions
    steps: Sequence[StepName] = ("questions", "reranker", "synonyms")
    days: float | None = 28.0
    bounds: Bounds = field(default_factory=Bounds)
    held_out: float = 0.25
    max_share: float = 0.1
    regression: Sequence[JudgedQuery] | None = None
    demands: Demands = field(default_factory=Demands)
    min_positives: int = 100
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
    wanted: Wanted
    outcome: Outcome
    parts: Parts
    llm: LanguageModel | None
    tell: Tell

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
        """Give it as JSON has it."""
        return {"step": self.name, "state": self.state, "reason": self.reason, **self.details}
