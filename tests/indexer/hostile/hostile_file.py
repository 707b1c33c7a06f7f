"""What a hostile file is: its name, how it is made, and what reading it may cost and has to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SECONDS = 30.0
"""Of CPU: far above what a bounded file takes on a busy machine, far below what a quadratic one does."""

MEGABYTES = 500.0
"""Above what a process takes that has only imported the readers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """One file of the corpus.

    `reads` is a text that stands in what is read of it, `failure` a pattern of its failure, `skipped` one of what is
    said to be left out; "" where there is none.
    """

    name: str
    make: Callable[[], bytes]
    reads: str = ""
    failure: str = ""
    skipped: str = ""
    seconds: float = SECONDS
    megabytes: float = MEGABYTES
