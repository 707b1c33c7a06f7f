"""A value that is made at its first use, once, however many threads ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from bothways.core.errors import BothwaysError

T = TypeVar("T")


class Once(Generic[T]):
    """Calls `make` at the first use and keeps what it gave.

    A `BothwaysError` of `make` is raised again for `retry_after_s` seconds before it is tried anew: a model that
    cannot be loaded is not looked for in every search.
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
        """Give the value, making it if need be."""
        if self._made:
            return self._made[0]
        with self._lock:
            if not self._made:
                self._try()
            return self._made[0]

    @property
    def made(self) -> bool:
        """Whether there is a value already."""
        return bool(self._made)

    def _try(self) -> None:
        if self._failed and self._clock() - self._failed[0] < self._retry_after_s:
            raise self._failed[1]
        try:
            self._made.append(self._make())
        except BothwaysError as error:
            self._failed = (self._clock(), error)
            raise
