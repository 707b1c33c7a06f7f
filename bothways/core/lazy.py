"""A value that is made at its first use, only once, even if several threads need it at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from bothways.core.errors import BothwaysError

T = TypeVar("T")


class Lazy(Generic[T]):
    """Calls `make` at the first use and keeps its result.

    If `make` raises a `BothwaysError`, the same error is raised for `retry_after_s` seconds before `make` is called
    again: a model that cannot be loaded is not tried in every search.
    """

    def __init__(
        self, make: Callable[[], T], *, retry_after_s: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._make = make
        self._retry_after_s = retry_after_s
        self._clock = clock
        self._lock = threading.Lock()
        self._made: list[T] = []
        self._failed: tuple[float, BothwaysError] | None = None

    def __call__(self) -> T:
        """Return the value; make it first if this is the first use."""
        if self._made:
            return self._made[0]
        with self._lock:
            if not self._made:
                self._try()
            return self._made[0]

    @property
    def made(self) -> bool:
        """Whether the value has been made."""
        return bool(self._made)

    def _try(self) -> None:
        if self._failed and self._clock() - self._failed[0] < self._retry_after_s:
            raise self._failed[1]
        try:
            self._made.append(self._make())
        except BothwaysError as error:
            self._failed = (self._clock(), error)
            raise
