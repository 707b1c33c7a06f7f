"""One search on its way from the question to a page of hits: what its stages hand on to each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import TypeVar

from bothways.core.collections.collection import Collection
from bothways.core.datatypes import Leg, Vector
from bothways.core.results import Expansion, Facet, Hit, Query, Reranking
from bothways.search.options import SearchOptions
from bothways.search.query.self_query.conditions import NOTHING, Understood
from bothways.search.retrieve.msearch import Retrieved

T = TypeVar("T")

STAGES = ("open", "self_query", "rewrite", "encode", "retrieve", "fuse", "rerank", "show")


class Clock:
    """Counts milliseconds by stage; a stage that runs twice is counted twice."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._ms = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time that the `with` block takes for a stage."""
        start = time.perf_counter()
        yield
        self._ms[name] += 1000 * (time.perf_counter() - start)

    def timings(self) -> dict[str, float]:
        """Return the milliseconds of every stage, and the total since the clock was made."""
        total = 1000 * (time.perf_counter() - self._start)
        return {name: round(ms, 2) for name, ms in (self._ms | {"total": total}).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchState:
    """A search as far as it has come. A stage takes one and returns another; none is changed.

    `text` is the question as it was typed; `query` is what is searched for: the question in the collection's script,
    and its pseudo-document. `words` and `vector` are what the legs are asked with. `cited` are the hits that the
    question itself names. `hits` are all candidates, best first, and in the end one page of these `total`. `degraded`
    names the stages that failed and were left out.
    """

    text: str
    query: Query
    options: SearchOptions
    collection: Collection
    legs: tuple[Leg, ...]
    clock: Clock = field(default_factory=Clock)
    understood: Understood = NOTHING
    words: Sequence[str] = ()
    vector: Vector | None = None
    retrieved: Retrieved = field(default_factory=Retrieved)
    cited: Sequence[Hit] = ()
    expansion: Expansion | None = None
    hits: Sequence[Hit] = ()
    reranking: Reranking | None = None
    total: int = 0
    facets: Mapping[str, Facet] = field(default_factory=dict)
    degraded: tuple[str, ...] = ()

    def without(self, *failed: str) -> SearchState:
        """Return this state with the names of stages or legs that failed."""
        return replace(self, degraded=(*self.degraded, *failed)) if failed else self


def timed(name: str) -> Callable[[Callable[[T, SearchState], SearchState]], Callable[[T, SearchState], SearchState]]:
    """Count the time of a stage, which is a method of the pipeline, under `name` in its state's clock."""

    def decorate(stage: Callable[[T, SearchState], SearchState]) -> Callable[[T, SearchState], SearchState]:
        @wraps(stage)
        def measured(pipeline: T, state: SearchState) -> SearchState:
            with state.clock.stage(name):
                return stage(pipeline, state)

        return measured

    return decorate
