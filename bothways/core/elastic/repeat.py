"""Something done every few seconds beside the work, as a heartbeat is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Repeat:
    """Calls `call` every `every_s` seconds in a thread, between entering and leaving a `with`.

    `call` handles its own errors: what it raises ends the thread. Leaving waits for a call that is under way.
    """

    def __init__(self, call: Callable[[], object], *, every_s: float, name: str) -> None:
        self._call = call
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self._call()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
