"""What sessions say of each (question, chunk), added up: how often it was shown where, chosen, and passed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from bothways.learning.judgments.clicks import Seen, Session

DEEPEST = 20
"""Ranks from here on count as one: few users go there, and fewer tell them apart."""
HIGH = 5
"""A hit down to this rank was shown high: being passed over there tells something."""
VOTE = 3
"""A vote counts as so many clicks, or as being passed over so many times: it is meant, a click may be curiosity."""
ATTRACTED = 5
"""A chunk whose questions stand so high in their leg was brought by them."""
A_QUERY_AN_HOUR = 10
"""Sessions of one question that count within one hour: who asks and clicks it all day is one voice among others."""


@dataclass(slots=True, kw_only=True)
class Evidence:
    """All that is known of one chunk as an answer to one question.

    `seen` and `clicked` count by rank; searches with a vote on the chunk are in `ups` and `downs` alone. `passed_over`
    counts searches in which it was looked at and not chosen, `high` those of them that showed it high. Hours are those
    of sessions that speak for it, and that speak against it where it was shown high. `asked` counts the searches that
    looked at questions too, `attracted` those of them in which this chunk's questions stood high, `missed` those in
    which they were not found at all.
    """

    doc_id: str
    seen: Counter[int] = field(default_factory=Counter)
    clicked: Counter[int] = field(default_factory=Counter)
    passed_over: int = 0
    high: int = 0
    ups: int = 0
    downs: int = 0
    hours_for: set[str] = field(default_factory=set)
    hours_against: set[str] = field(default_factory=set)
    asked: int = 0
    attracted: int = 0
    missed: int = 0

    @property
    def speaks_for(self) -> int:
        """How much speaks for it, in clicks."""
        return self.clicked.total() + VOTE * self.ups

    @property
    def speaks_against(self) -> int:
        """How much speaks against it, in times that it was passed over."""
        return self.passed_over + VOTE * self.downs

    @property
    def speaks_against_high(self) -> int:
        """How much of it where it was shown high."""
        return self.high + VOTE * self.downs

    @property
    def searches(self) -> int:
        """In how many sessions it was shown."""
        return self.seen.total() + self.ups + self.downs

    def add(self, seen: Seen, session: Session, *, is_passed_over: bool) -> None:
        """Add what one session says of it."""
        actions = session.actions.get(seen.chunk_id, frozenset())
        rank = min(seen.rank, DEEPEST)
        self.asked += session.asks_questions
        self.attracted += seen.question_rank is not None and seen.question_rank <= ATTRACTED
        self.missed += session.asks_questions and seen.question_rank is None
        if "down" in actions:
            self.downs += 1
            self.hours_against.add(session.hour)
            return
        if "up" in actions:
            self.ups += 1
            self.hours_for.add(session.hour)
            return
        self.seen[rank] += 1
        if "click" in actions:
            self.clicked[rank] += 1
            self.hours_for.add(session.hour)
        elif is_passed_over:
            self.passed_over += 1
            if seen.rank <= HIGH:
                self.high += 1
                self.hours_against.add(session.hour)


@dataclass(slots=True)
class Ledger:
    """The evidence of a collection, by question and chunk.

    `texts` counts the words in which a question was typed, none where only hashes are kept.

    `too_many` counts the sessions that did not count, since as many of that question did in that hour.
    """

    evidence: dict[tuple[str, str], Evidence] = field(default_factory=dict)
    texts: dict[str, Counter[str]] = field(default_factory=dict)
    too_many: int = 0


def gather(sessions: Iterable[Session]) -> Ledger:
    """Add sessions up."""
    ledger = Ledger()
    in_hour: Counter[tuple[str, str]] = Counter()
    for session in sessions:
        in_hour[session.query, session.hour] += 1
        if in_hour[session.query, session.hour] > A_QUERY_AN_HOUR:
            ledger.too_many += 1
            continue
        typed = ledger.texts.setdefault(session.query, Counter())
        if session.text is not None:
            typed[session.text] += 1
        passed_over = session.passed_over()
        for seen in session.shown:
            evidence = ledger.evidence.setdefault((session.query, seen.chunk_id), Evidence(doc_id=seen.doc_id))
            evidence.add(seen, session, is_passed_over=seen.chunk_id in passed_over)
    return ledger
