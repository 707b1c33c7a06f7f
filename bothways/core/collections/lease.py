"""Alone on a collection for something short that no job may cross: deleting from it, or going back to a version.

A job holds the lease of its collection for as long as it runs, with its id as the note. Whoever finds it held by a job
is told so, after a moment in which one that has ended lets go of it; what holds it without a job is as short as this,
and is waited for.
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
"""So long others that delete, as many at once over HTTP, are waited for."""
_LET_GO_S = 1.0
"""A job's record says that it has ended a moment before it lets go of the lease."""
_LOOK_AGAIN_S = 0.1


def lease_name(collection: str) -> str:
    """Name the lease of a collection."""
    return f"collection {collection}"


@contextmanager
def alone_on(client: Elasticsearch, collection: str) -> Iterator[Lease]:
    """Hold the lease of a collection for the length of a `with`; `check` it before what only its holder may do.

    Raise `LeaseHeldError` where a job writes the collection: nothing was changed, and the message names the
    job and what to do.
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
        time.sleep(_LOOK_AGAIN_S * random.random())  # noqa: S311 – so that those who wait do not come all at once


def _what_to_do(error: LeaseHeldError) -> str:
    if not error.note:
        return f"{error} Something is deleted or rolled back there; nothing was changed by this one: try again."
    return (
        f"{error} The job {error.note} writes the collection, so nothing was changed: wait until it has "
        f"ended (`bothways jobs show {error.note} --watch`) or cancel it (`bothways jobs cancel {error.note}`), then "
        "try again."
    )
