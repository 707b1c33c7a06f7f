"""Searches with what users did with their answers: the record's two streams, joined by `query_id`.

Comes in: rows of learning/feedback. Goes out: a `Session` for each search to which somebody reacted, and a `Tally` of
all that was left aside, by reason. Searches without any event are left aside too: most programs that search never send
one, and their silence cannot be told from a reader's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bothways.learning.feedback.rows import ACTIONS
from bothways.learning.feedback.wording import normalised
from bothways.schemas.names import Action
from bothways.search.options import LEGS

INDISCRIMINATE = 4
"""Who clicks so many hits, and more than half of what is shown, chose nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One hit of a search. `rank` counts from 1 over all pages, `question_rank` in the leg of the questions alone."""

    chunk_id: str
    doc_id: str
    rank: int
    question_rank: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One search to which somebody reacted.

    `query` is the form in which equal questions meet, `text` the words as typed, None where only their hash is kept.
    `hour` is when: `2027-01-15T08`. `actions` are by chunk. `asks_questions`: its strategy looked at the chunks'
    questions too.
    """

    query: str
    text: str | None
    hour: str
    shown: tuple[Seen, ...]
    actions: Mapping[str, frozenset[Action]]
    asks_questions: bool = False

    @property
    def clicked(self) -> frozenset[str]:
        """Chunks that the user opened or voted for, and did not vote against."""
        return frozenset(
            chunk for chunk, actions in self.actions.items() if actions & {"click", "up"} and "down" not in actions
        )

    @property
    def is_indiscriminate(self) -> bool:
        """Return whether the user clicked nearly everything."""
        return len(self.clicked) >= INDISCRIMINATE and 2 * len(self.clicked) > len(self.shown)

    def passed_over(self) -> frozenset[str]:
        """Chunks that were looked at and not chosen: the user says so, or chose one further down.

        Who clicks a hit has most likely read those above it ("skip above", Joachims et al., Accurately Interpreting
        Clickthrough Data as Implicit Feedback, SIGIR 2005).
        """
        lowest = max((seen.rank for seen in self.shown if seen.chunk_id in self.clicked), default=0)
        said = {chunk for chunk, actions in self.actions.items() if actions & {"skip", "down"}}
        return frozenset(
            seen.chunk_id
            for seen in self.shown
            if seen.chunk_id not in self.clicked and (seen.rank < lowest or seen.chunk_id in said)
        )


@dataclass(slots=True, kw_only=True)
class Tally:
    """What the record held, and what of it was not used, by reason."""

    searches: int = 0
    events: int = 0
    searches_without_event: int = 0
    searches_without_text: int = 0
    searches_indiscriminate: int = 0
    events_of_other_searches: int = 0
    events_on_what_was_not_shown: int = 0
    events_twice: int = 0
    sessions: int = 0


def read_sessions(
    queries: Iterable[Mapping[str, Any]], events: Iterable[Mapping[str, Any]], tally: Tally
) -> Iterator[Session]:
    """Join searches with their events, counting into `tally`.

    Events are held in memory, some 200 bytes each; searches are streamed.
    """
    by_search: dict[str, list[tuple[str, Action]]] = defaultdict(list)
    for row in events:
        tally.events += 1
        if row["action_name"] in ACTIONS:
            by_search[row["query_id"]].append((row["event_attributes"]["object"]["object_id"], row["action_name"]))
    for row in queries:
        tally.searches += 1
        session = _session(row, by_search.pop(row["query_id"], []), tally)
        if session is not None:
            tally.sessions += 1
            yield session
    tally.events_of_other_searches += sum(map(len, by_search.values()))


def _session(row: Mapping[str, Any], acted: list[tuple[str, Action]], tally: Tally) -> Session | None:
    shown = tuple(
        Seen(
            chunk_id=hit["chunk_id"],
            doc_id=hit["doc_id"],
            rank=hit["rank"],
            question_rank=hit.get("legs", {}).get("questions"),
        )
        for hit in row["hits"]
    )
    # A copy of a hit stands for it.
    known = {seen.chunk_id: seen.chunk_id for seen in shown}
    for hit in row["hits"]:
        known.update(dict.fromkeys(hit.get("copies", ()), hit["chunk_id"]))
    actions: dict[str, set[Action]] = defaultdict(set)
    for chunk, action in acted:
        if chunk not in known:
            tally.events_on_what_was_not_shown += 1
        elif action in actions[known[chunk]]:
            tally.events_twice += 1
        else:
            actions[known[chunk]].add(action)
    if not any(actions.values()):
        tally.searches_without_event += 1
        return None
    asked = row.get("user_query")
    if asked is None:
        tally.searches_without_text += 1
        return None
    text = asked if row["query_attributes"]["text"] == "plain" else None
    query = asked if text is None else normalised(text)
    done = {chunk: frozenset(kinds) for chunk, kinds in actions.items() if kinds}
    asks_questions = "questions" in LEGS.get(row["query_attributes"].get("strategy", ""), ())
    session = Session(
        query=query, text=text, hour=row["timestamp"][:13], shown=shown, actions=done, asks_questions=asks_questions
    )
    if session.is_indiscriminate:
        tally.searches_indiscriminate += 1
        return None
    return session
