"""Which chunks get new questions, and by what hints: what users said for certain, chunk by chunk.

Two reasons. People chose a chunk although it stood low, or was found without its questions: they miss how people ask.
And people passed a chunk over that its questions had brought: they promise what it does not answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from bothways.learning.judgments.evidence import VOTE
from bothways.learning.judgments.files import query_id
from bothways.learning.judgments.judge import Judgment

LOW = 2.0
"""A chosen chunk that stood lower than this, on average, should have stood higher."""
HALF = 0.5
"""The share of searches from which a chunk's questions are said to bring it, or to miss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A chunk whose questions are written anew.

    `successful` are questions that it answers, `failed` ones that it does not although it was brought for them, in the
    words of users. `reasons` are for people, `pairs` are the ids of those questions, `weight` is how much is known.
    """

    chunk_id: str
    doc_id: str
    successful: tuple[str, ...]
    failed: tuple[str, ...]
    reasons: tuple[str, ...]
    pairs: tuple[str, ...]
    weight: int


@dataclass(slots=True, kw_only=True)
class Worklist:
    """The tasks, best known first, and what gave none: pairs acted on before, without words, or in good order."""

    tasks: list[Task] = field(default_factory=list)
    waiting: list[Task] = field(default_factory=list)
    acted_on_before: int = 0
    without_words: int = 0
    in_order: int = 0


def make_worklist(judgments: Iterable[Judgment], *, used: Collection[tuple[str, str]], at_most: int) -> Worklist:
    """Gather tasks from judgments; `used` are (chunk, question id) that an earlier round acted on.

    No more than `at_most` are done now, those of which most is known; the others wait.
    """
    found = Worklist()
    by_chunk: dict[str, list[tuple[Judgment, str]]] = defaultdict(list)
    for judgment in judgments:
        reason = why(judgment)
        if reason is None:
            found.in_order += judgment.verdict != "undecided"
        elif (judgment.chunk_id, query_id(judgment.query)) in used:
            found.acted_on_before += 1
        elif judgment.text is None:
            found.without_words += 1
        else:
            by_chunk[judgment.chunk_id].append((judgment, reason))
    every = sorted((_task(chunk_id, own) for chunk_id, own in by_chunk.items()), key=lambda t: (-t.weight, t.chunk_id))
    found.tasks, found.waiting = every[:at_most], every[at_most:]
    return found


def why(judgment: Judgment) -> str | None:
    """Return why a judgment asks for new questions, None where it does not."""
    if judgment.verdict == "positive":
        if judgment.mean_rank is not None and judgment.mean_rank > LOW:
            return f"chosen although it stood at rank {judgment.mean_rank:.1f} on average"
        return "chosen, and its questions missed it" if judgment.missed is not None and judgment.missed > HALF else None
    if judgment.verdict == "negative" and judgment.by_questions is not None and judgment.by_questions >= HALF:
        return "brought by its questions and passed over"
    return None


def _task(chunk_id: str, own: Sequence[tuple[Judgment, str]]) -> Task:
    ordered = sorted(own, key=lambda pair: (-_weight(pair[0]), pair[0].query))
    return Task(
        chunk_id=chunk_id,
        doc_id=ordered[0][0].doc_id,
        successful=tuple(judgment.text or "" for judgment, _ in ordered if judgment.verdict == "positive"),
        failed=tuple(judgment.text or "" for judgment, _ in ordered if judgment.verdict == "negative"),
        reasons=tuple(f"“{judgment.text}”: {reason} ({judgment.reason})" for judgment, reason in ordered),
        pairs=tuple(query_id(judgment.query) for judgment, _ in ordered),
        weight=sum(_weight(judgment) for judgment, _ in ordered),
    )


def _weight(judgment: Judgment) -> int:
    """Count what a judgment rests on, in clicks or times passed over."""
    return (
        judgment.clicks + VOTE * judgment.ups
        if judgment.verdict == "positive"
        else judgment.passed_over + VOTE * judgment.downs
    )
