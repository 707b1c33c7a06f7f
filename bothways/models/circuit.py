"""A circuit breaker: an endpoint that is known to be down is not waited for."""

from __future__ import annotations

import threading
import time

import structlog

log = structlog.get_logger()


class Circuit:
    """Remembers that an endpoint is down: after `limit` failures in a row no request is made for `pause_s` seconds.

    After the pause one caller may try; the others wait for its result. `event` is the name in the log.
    """

    def __init__(self, limit: int = 5, pause_s: float = 15.0, *, event: str = "llm.down") -> None:
        self._event = event
        self._limit = limit
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._failures = 0
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the endpoint counts as down."""
        return self._failures >= self._limit

    def admits(self) -> bool:
        """Return whether a request may be made now."""
        with self._lock:
            if not self.is_open:
                return True
            if time.monotonic() < self._until:
                return False
            self._until = time.monotonic() + self._pause_s
            return True

    def record(self, *, ok: bool) -> None:
        """Note how a request ended."""
        with self._lock:
            self._failures = 0 if ok else self._failures + 1
            if self._failures == self._limit:
                log.warning(self._event, failures=self._failures, hint=f"not asked again for {self._pause_s:g} s")
            if self.is_open:
                self._until = time.monotonic() + self._pause_s
