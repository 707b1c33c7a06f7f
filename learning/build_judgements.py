"""From settings to judgements: the record of a period is read, joined, added up and judged."""

from __future__ import annotations

import time

from core.collection import alias_of
from core.elastic import connect
from core.settings import Settings
from learning.clicks import Tally, read_sessions
from learning.evidence import gather
from learning.feedback.rows import at
from learning.feedback.store import DAY_S, FeedbackStore
from learning.judgement_files import Outcome
from learning.judgements import Bounds, judge
from learning.telling import telling


def learn_judgements(settings: Settings, collection: str, bounds: Bounds, *, days: float | None = None) -> Outcome:
    """Judge what a collection's users said in the last `days`, or ever; nothing is written."""
    alias_of(collection)
    client, _ = connect(settings)
    return judgements_from(FeedbackStore(client), collection, bounds, days=days)


def judgements_from(
    store: FeedbackStore, collection: str, bounds: Bounds, *, days: float | None = None, now: float | None = None
) -> Outcome:
    """Judge what is in a store; `now` in seconds since 1970."""
    until = time.time() if now is None else now
    since = None if days is None else at(until - days * DAY_S)
    tally = Tally()
    queries = store.stream("query", collection=collection, since=since, until=at(until))
    # Events whose search the server did not remember name no collection; they find theirs by the search.
    events = store.stream("event", collection=collection, or_unnamed=True, since=since)
    ledger = gather(read_sessions(queries, events, tally))
    told = telling(ledger.evidence.values())
    return Outcome(
        collection=collection,
        since=since or "",
        until=at(until),
        judged=judge(ledger, bounds),
        tally=tally,
        too_many=ledger.too_many,
        bounds=bounds,
        telling=told,
    )
