"""A rate limit: so many requests a minute, evenly spaced, for all threads together.

Not a library's: a wait has to end with the caller's deadline and with `close()` of the model, so the limiter returns
the seconds and does not wait itself. pyrate-limiter and limits wait (or poll) themselves, aiolimiter needs asyncio.
There is no burst: endpoints enforce "60 a minute" as one a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """Spaces requests `60 / per_minute` seconds apart; with None, requests need not wait."""

    def __init__(self, per_minute: float | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = 60.0 / per_minute if per_minute else 0.0
        self._clock = clock
        self._lock = threading.Lock()
        self._next = clock()

    def turn(self, within_s: float | None = None) -> float | None:
        """Reserve the next turn and return the seconds until it; None, without a turn, if they exceed `within_s`."""
        with self._lock:
            now = self._clock()
            at = max(now, self._next)
            if within_s is not None and at - now > within_s:
                return None
            self._next = at + self._interval_s
            return at - now
