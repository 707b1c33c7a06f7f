"""Short work on a collection that must not run beside a job: deleting from it, or going back to a version.

A job holds the lease of its collection while it runs, with its id as the note. If a job holds the lease, this fails
after a moment, in which a job that has just ended may release it. Other holders are waited for: they
are as short as this.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from elasticsearch import Elasticsearch

from bothways.core.elastic.lease import Lease, Leases
from bothways.core.errors import LeaseHeldError

PATIENCE_S = 10.0
"""Seconds for which other short holders are waited for, as when many requests delete at once."""
_LET_GO_S = 1.0
"""A job records its end a moment before it releases the lease."""
_LOOK_AGAIN_S = 0.1


def lease_name(collection: str) -> str:
    """Name the lease of a collection."""
    return f"collection {collection}"


@contextmanager
def alone_on(client: Elasticsearch, collection: str) -> Iterator[Lease]:
    """Hold the lease of a collection during the body; call `check` before each action that only the holder may do.

    Raise `LeaseHeldError` if a job writes the collection: nothing was changed, and the message names the job.
    """
    with _take(Leases(client), lease_name(collection)).kept() as lease:
        yield lease


def _take(leases: Leases, name: str) -> Lease:
    started = time.monotonic()
    while True:
        try:
            return leases.acquire(name)
        except LeaseHeldError as error:
            if time.monotonic() - started > (_LET_GO_S if error.note else PATIENCE_S):
                raise LeaseHeldError(_what_to_do(error), who=error.who, note=error.note) from error
        time.sleep(_LOOK_AGAIN_S * random.random())  # noqa: S311 – so that not all waiting processes try at once


def _what_to_do(error: LeaseHeldError) -> str:
    if not error.note:
        return f"{error} Another request deletes or rolls back there; this one changed nothing: try again."
    return (
        f"{error} The job {error.note} writes the collection, so nothing was changed: wait until it has "
        f"ended (`bothways jobs show {error.note} --watch`) or cancel it (`bothways jobs cancel {error.note}`), then "
        "try again."
    )
