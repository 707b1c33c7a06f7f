"""What a job did, in numbers that a user can check, and everything that did not work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bothways.core.datatypes import Failure
from bothways.models.llm.usage import Prices, TokenUsage

_WRITTEN = (
    "indexed",
    "questions",
    "encoded",
    "llm_calls",
    "llm_cached",
    "llm_prompt_tokens",
    "llm_completion_tokens",
    "llm_uncounted",
)


@dataclass(slots=True, kw_only=True)
class JobReport:
    """What a job did.

    `failures` are all that did not work, each with its item and reason; nothing else was lost. `reused` counts those
    of the new and changed chunks whose text the index held already, as of a renamed file: nothing was encoded or asked
    for them. `kept` counts the chunks of uploaded documents that a rebuild took over. `refused_before` counts chunks
    for which an earlier run got no questions; `held` says why a rebuild is not in use yet.

    `llm_*_tokens` are as the endpoint counted them; `llm_uncounted` answers came without a count; `llm_cost` is None
    where no price is set. In a dry run calls, tokens and cost are those that a run would take, tokens by estimate.
    `outages` counts how often the job began again since Elasticsearch had been away; what was written before that is
    counted as written, not as unchanged.
    `filter` names what dropped `filter_dropped` of the `filter_questions` that it looked at, with its threshold.
    """

    collection: str
    index: str = ""
    documents: int = 0
    chunks: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    reused: int = 0
    refused_before: int = 0
    indexed: int = 0
    removed: int = 0
    kept: int = 0
    questions: int = 0
    encoded: int = 0
    llm_calls: int = 0
    llm_cached: int = 0
    llm_prompt_tokens: int = 0
    llm_completion_tokens: int = 0
    llm_uncounted: int = 0
    llm_cost: float | None = None
    filter: str = ""
    filter_questions: int = 0
    filter_dropped: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    held: str = ""
    outages: int = 0
    seconds: float = 0.0

    @property
    def refused(self) -> int:
        """Chunks that were indexed without questions, since the language model had no answer to them."""
        return sum(failure.stage == "refuse" for failure in self.failures)

    @property
    def succeeded(self) -> bool:
        """Whether everything that was found is in the index.

        Chunks that the model refused are in it and do not fail a job, unless it refused all: then it is set up wrong.
        """
        failed = len(self.failures) - self.refused
        return (
            self.documents > 0 and not self.held and failed == 0 and (self.refused == 0 or self.refused < self.chunks)
        )

    def count_tokens(self, usage: TokenUsage, prices: Prices) -> None:
        """Add what the language model used, and what that cost."""
        self.llm_prompt_tokens += usage.prompt
        self.llm_completion_tokens += usage.completion
        self.llm_uncounted += usage.uncounted
        cost = prices.cost(usage)
        if cost is not None:
            self.llm_cost = (self.llm_cost or 0.0) + cost

    def written(self) -> dict[str, Any]:
        """Return what writing chunks has counted, and what failed of it, as JSON has it: one worker's share."""
        return {name: getattr(self, name) for name in _WRITTEN} | {
            "llm_cost": self.llm_cost,
            "failures": [asdict(failure) for failure in self.failures],
        }

    def add_written(self, share: Mapping[str, Any]) -> None:
        """Add a worker's share, as `written` gave it."""
        for name in _WRITTEN:
            setattr(self, name, getattr(self, name) + share[name])
        if share["llm_cost"] is not None:
            self.llm_cost = (self.llm_cost or 0.0) + share["llm_cost"]
        self.failures.extend(Failure(**failure) for failure in share["failures"])

    def add_attempt(self, earlier: JobReport) -> None:
        """Add what an attempt had written that an outage ended; the one after it found that unchanged."""
        self.add_written(earlier.written() | {"failures": []})
        self.unchanged -= min(self.unchanged, earlier.indexed)
        self.outages += 1 + earlier.outages

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self)
