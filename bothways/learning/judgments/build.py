"""From settings to judgments: the record of a period is read, joined, added up and judged."""

from __future__ import annotations

import time

from bothways.core.collections.collection import alias_of
from bothways.core.settings import Settings
from bothways.learning.feedback.rows import at
from bothways.learning.feedback.store import DAY_S, FeedbackStore
from bothways.learning.judgments.click_randomness import measure_randomness
from bothways.learning.judgments.clicks import Tally, read_sessions
from bothways.learning.judgments.evidence import gather
from bothways.learning.judgments.files import Outcome
from bothways.learning.judgments.judge import JudgmentThresholds, judge
from bothways.node.connect import connect


def learn_judgments(
    settings: Settings, collection: str, thresholds: JudgmentThresholds, *, days: float | None = None
) -> Outcome:
    """Judge what a collection's users said in the last `days`, or ever; nothing is written."""
    alias_of(collection)
    client, _ = connect(settings)
    return judgments_from(FeedbackStore(client), collection, thresholds, days=days)


def judgments_from(
    store: FeedbackStore,
    collection: str,
    thresholds: JudgmentThresholds,
    *,
    days: float | None = None,
    now: float | None = None,
) -> Outcome:
    """Judge what is in a store; `now` in seconds since 1970."""
    until = time.time() if now is None else now
    since = None if days is None else at(until - days * DAY_S)
    tally = Tally()
    queries = store.stream("query", collection=collection, since=since, until=at(until))
    # Events whose search the server did not remember name no collection; they find theirs by the search.
    events = store.stream("event", collection=collection, or_unnamed=True, since=since)
    ledger = gather(read_sessions(queries, events, tally))
    randomness = measure_randomness(ledger.evidence.values())
    return Outcome(
        collection=collection,
        since=since or "",
        until=at(until),
        judged=judge(ledger, thresholds),
        tally=tally,
        too_many=ledger.too_many,
        thresholds=thresholds,
        click_randomness=randomness,
    )
