"""Items in groups of a fixed size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batched(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Return the items in tuples of `size`, the last one shorter: `itertools.batched`, which Python 3.11 lacks."""
    remaining = iter(items)
    while batch := tuple(islice(remaining, size)):
        yield batch
