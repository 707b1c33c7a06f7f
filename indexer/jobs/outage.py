"""Waiting while Elasticsearch is away: a job that meets an outage begins again after it, for what is left to do.

The index itself shows what is left, so beginning again costs reading and comparing; only the questions and vectors that
were under way are made twice. Single requests are not retried: only comparing shows what a node took before it died.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bothways.core.errors import ElasticsearchUnavailableError

Result = TypeVar("Result")

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 15.0
"""An attempt costs an idle machine nothing, and an overloaded one little at this pace."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds a job waits for Elasticsearch to come back; `tell` gets a sentence when it begins to wait.

    `seconds` 0: it ends at once, as for an upload, whose server tries it again by itself.
    """

    seconds: float = 0.0
    tell: Callable[[str], None] = lambda _: None


def through_outages(
    attempt: Callable[[], Result],
    patience: Patience,
    *,
    has_got_on: Callable[[], bool],
    pause: Callable[[float], None],
    again: Callable[[], None] = lambda: None,
) -> Result:
    """Call `attempt` until it meets no outage, and return its result.

    `has_got_on` says whether the attempt that has just failed did some of the work: then this is another outage, and
    the time begins anew. `pause` lets seconds pass and raises where the job is to end; `again` is called before each
    further attempt. Raises the `ElasticsearchUnavailableError` of the last attempt when an outage is longer than
    `patience`, and whatever else an attempt raises.
    """
    since: float | None = None
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return attempt()
        except ElasticsearchUnavailableError as error:
            if since is None or has_got_on():
                since, pause_s = time.monotonic(), _FIRST_PAUSE_S
                if patience.seconds:
                    patience.tell(
                        f"Waiting for Elasticsearch, for up to {_shown(patience.seconds)}: {error} "
                        "Ctrl-C ends the job; what is indexed stays."
                    )
            left = since + patience.seconds - time.monotonic()
            if left <= 0:
                if not patience.seconds:
                    raise
                raise ElasticsearchUnavailableError(
                    f"{error} It did not come back within {_shown(patience.seconds)}. What is indexed stays: "
                    "run the same command again to continue."
                ) from error
        pause(min(pause_s, left))
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        again()


def _shown(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 120 else f"{seconds:g} s"
