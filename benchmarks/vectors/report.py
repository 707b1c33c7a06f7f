"""What a study of a vector index found: the arms, which of them are worth having, and both as a table.

In: the arms that benchmarks/vectors/study.py measured. Out: `vectors.json`, `vectors.md`, and each arm as a
mapping; the plot is benchmarks/vectors/plot.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.vectors.index import FIELD, Build, Built
from bothways.evaluation.report.values import figure

EXACT = Build("flat")
"""Exact search: the full floats of every chunk are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way of building and searching: recall@k over all questions, and the client's wall-clock ms a question.

    `oversample` is what the search asked for; None asks for nothing, and the server does as `built.oversample` says.
    """

    built: Built
    num_candidates: int
    oversample: float | None
    recall: float
    p50_ms: float
    p95_ms: float

    @property
    def build(self) -> Build:
        """The `index_options`."""
        return self.built.build

    @property
    def disk_bytes(self) -> int:
        """Bytes of the field on disk."""
        return self.built.disk_bytes

    @property
    def memory_bytes(self) -> int:
        """Bytes that want to be in the page cache."""
        return self.built.memory_bytes

    @property
    def rescored(self) -> float:
        """The oversampling that took place, by request or by default; 0 is no rescoring."""
        return self.built.oversample if self.oversample is None else self.oversample

    @property
    def snippet(self) -> dict[str, Any]:
        """What to put into the mapping and into the search to have this arm."""
        options = self.build.index_options
        if self.oversample is not None:
            options["rescore_vector"] = {"oversample": self.oversample}
        return {"mapping": {FIELD: {"index_options": options}}, "search": {"num_candidates": self.num_candidates}}

    def as_dict(self) -> dict[str, Any]:
        """Return all figures, flat."""
        return {
            "type": self.build.type,
            "m": self.build.m,
            "ef_construction": self.build.ef_construction,
            "num_candidates": self.num_candidates,
            "oversample": self.oversample,
            "rescored": self.rescored,
            "recall": round(self.recall, 4),
            "p50_ms": round(self.p50_ms, 2),
            "p95_ms": round(self.p95_ms, 2),
            "memory_bytes": self.memory_bytes,
            "memory_from": self.built.memory_from,
            "disk_bytes": self.disk_bytes,
            "disk_from": self.built.disk_from,
            "build_s": round(self.built.seconds, 1),
            "snippet": self.snippet,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorStudy:
    """All arms over one collection, exact search first, and the builds that the server refused, with its reason."""

    collection: str
    index: str
    vectors: int
    dimension: int
    queries: int
    k: int
    repeats: int
    arms: tuple[Arm, ...]
    refused: dict[str, str]

    @property
    def pareto(self) -> tuple[Arm, ...]:
        """The arms worth having, of all builds."""
        return pareto(self.arms)

    @property
    def fronts(self) -> dict[Build, tuple[Arm, ...]]:
        """What each build is worth: its own Pareto-optimal arms, over `num_candidates` and `oversample`."""
        builds = dict.fromkeys(arm.build for arm in self.arms)
        return {build: pareto([arm for arm in self.arms if arm.build == build]) for build in builds}

    def as_dict(self) -> dict[str, Any]:
        """Return `vectors.json`."""
        names = ("collection", "index", "vectors", "dimension", "queries", "k", "repeats", "refused")
        best = self.pareto
        arms = [{**arm.as_dict(), "pareto": arm in best} for arm in self.arms]
        return {**{name: getattr(self, name) for name in names}, "arms": arms}

    def markdown(self) -> str:
        """Return `vectors.md`: what was done, the table, what was refused, and the best arms as mappings."""
        return "\n".join([*self._heading(), *self._table(), "", *self._remarks()]) + "\n"

    def _heading(self) -> Iterator[str]:
        yield f"# The vectors of {self.collection}\n"
        yield (
            f"{self.vectors:,} vectors of {self.dimension} dimensions ({self.index}), {self.queries} questions one by "
            f"one; recall@{self.k} against exact search (`flat`). Temporary indices of one shard and one segment; a "
            "live index has several segments. Time is the client's wall clock, a question's best of "
            f"{self.repeats}.\n"
        )

    def _table(self) -> Iterator[str]:
        columns = (
            *("type", "m", "ef_construction", "num_candidates", "oversample", f"recall@{self.k}", "p50 ms", "p95 ms"),
            *("memory MB", "disk MB", "build s", "Pareto"),
        )
        yield f"| {' | '.join(columns)} |"
        yield "|" + "---|" * len(columns)
        best = self.pareto
        for arm in self.arms:
            yield f"| {' | '.join([*_cells(arm), 'yes' if arm in best else ''])} |"

    def _remarks(self) -> Iterator[str]:
        yield f"Memory: {self.arms[0].built.memory_from}. Disk: {self.arms[0].built.disk_from}."
        for build, reason in self.refused.items():
            yield f"\nFailed: {build}. {reason}"
        yield "\nThe Pareto-optimal arms, fastest first:\n"
        for arm in self.pareto:
            yield f"- {figure('recall', arm.recall)} at {arm.p50_ms:.1f} ms: `{json.dumps(arm.snippet)}`"


def pareto(arms: Sequence[Arm]) -> tuple[Arm, ...]:
    """Keep the arms that no other beats in recall or median time without losing in the other, fastest first."""
    best = [arm for arm in arms if not any(_beats(other, arm) for other in arms)]
    return tuple(sorted(best, key=lambda arm: (arm.p50_ms, -arm.recall)))


def _beats(one: Arm, other: Arm) -> bool:
    """Compare times as they are printed, to a tenth of a millisecond: less is no difference that anyone measured."""
    faster = round(other.p50_ms, 1) - round(one.p50_ms, 1)
    better = one.recall - other.recall
    return faster >= 0 and better >= 0 and (faster > 0 or better > 0)


def _cells(arm: Arm) -> Iterator[str]:
    """Print an arm's cells. A graph's options that were left to the server, and what a type has not, are "–"."""
    yield arm.build.type
    yield from ("–" if value is None else str(value) for value in (arm.build.m, arm.build.ef_construction))
    yield "all" if arm.build == EXACT else str(arm.num_candidates)
    yield _oversample_cell(arm)
    yield figure("recall", arm.recall)
    yield from (f"{value:.1f}" for value in (arm.p50_ms, arm.p95_ms))
    yield from (f"{value / 1e6:.1f}" for value in (arm.memory_bytes, arm.disk_bytes))
    yield f"{arm.built.seconds:.0f}"


def _oversample_cell(arm: Arm) -> str:
    """Return what was rescored and whether the server did so by itself."""
    if not arm.build.quantised:
        return "–"
    times = f"{arm.rescored:g}" if arm.rescored else "none"
    return f"{times} (server's default)" if arm.oversample is None else times
