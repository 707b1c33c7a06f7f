"""What `eval tune` tries: names of parameters, the settings behind them, and the combinations of their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import get_args

import numpy as np

from bothways.core.errors import UsageError
from bothways.schemas.names import Fusion
from bothways.search.options import SearchOptions

Value = float | str
"""What a parameter can be: a number, or a name as of a fusion."""
Fields = Mapping[str, Value]
"""One combination: fields of the settings with their values."""

GRIDS: Mapping[str, tuple[str, tuple[Value, ...]]] = {
    "fusion": ("fusion", get_args(Fusion)),
    "convex.weight": ("convex_weight", (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0)),
    "rrf.weights": ("weight_bm25", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)),
    "dense.questions": ("weight_questions", (0.0, 0.25, 0.4, 0.5, 0.6, 0.75, 1.0)),
    "rank_constant": ("rank_constant", (5, 10, 20, 40, 60, 100)),
    "k": ("leg_k", (10, 20, 30, 50, 100)),
    "num_candidates": ("num_candidates", (50, 100, 200, 400)),
    "leg_cutoff": ("leg_cutoff", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)),
    "bm25.cjk": ("weight_cjk", (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)),
    "rerank.alpha": ("rerank_alpha", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
}
"""What can be tuned: the field of the settings behind a name, and the values that are tried.

`rrf.weights` is the weight of the BM25 ranking, with 1 for the dense one (only their ratio matters). With
`rerank.alpha`, `hybrid_rerank` is tuned, else `hybrid`.
"""
ONLY_OF: Mapping[str, Fusion] = {"convex_weight": "convex", "weight_bm25": "rrf", "rank_constant": "rrf"}
"""Fields that change nothing under another fusion."""
ASKED_ANEW = ("num_candidates", "weight_cjk")
"""Fields that change the hits of the legs: for each of their combinations all queries are searched again."""
AT_MOST_1 = frozenset({"convex.weight", "leg_cutoff", "dense.questions", "rerank.alpha"})
MOST = 5000
"""Combinations in one grid; a larger one is refused."""


def make_grid(
    names: Sequence[str], options: SearchOptions, chosen: Mapping[str, Sequence[Value]] | None = None
) -> list[dict[str, Value]]:
    """List the combinations to try; the fields in use come first. `chosen` replaces the values of a parameter.

    Combinations are left out if a leg would bring more hits than it has candidates, or if they differ only in
    parameters that their fusion does not use. Raise `UsageError` for parameters that no fusion of the grid uses.
    """
    unknown = [name for name in [*names, *(chosen or {})] if name not in GRIDS]
    if unknown or not names:
        problem = f"There is no parameter {unknown[0][:40]!r}" if unknown else "No parameter is named"
        raise UsageError(f"{problem}; there are: {', '.join(GRIDS)}.")
    axes: dict[str, list[Value]] = {}
    for name in names:
        field, values = GRIDS[name]
        now = getattr(options, field)
        axes[field] = list(dict.fromkeys([now, *(_of_type(now, v, name) for v in (chosen or {}).get(name, values))]))
    _require_used(axes, options)
    size = int(np.prod([len(values) for values in axes.values()]))
    if size > MOST:
        raise UsageError(f"The grid has {size} combinations, {MOST} are the most: name fewer parameters or values.")
    combinations = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    first: dict[tuple[Value, ...], dict[str, Value]] = {}
    for fields in combinations:
        if leg_k_of(fields, options) <= int(fields.get("num_candidates", options.num_candidates)):
            first.setdefault(_used(fields, options), fields)
    return list(first.values()) or [combinations[0]]


def as_setting(value: Value) -> str:
    """Return a value as it is written in settings."""
    return value if isinstance(value, str) else f"{value:g}"


def _require_used(axes: Mapping[str, Sequence[Value]], options: SearchOptions) -> None:
    fusions = axes.get("fusion", [options.fusion])
    for name, (field, _) in GRIDS.items():
        if field in axes and (needed := ONLY_OF.get(field)) and needed not in fusions:
            raise UsageError(
                f"{name} changes nothing, since rankings are fused by {as_setting(fusions[0])}: "
                f"tune `fusion` too, or set BOTHWAYS_FUSION={needed}."
            )


def _used(fields: Fields, options: SearchOptions) -> tuple[Value, ...]:
    """Return the values that the combination's fusion uses."""
    fusion = fields.get("fusion", options.fusion)
    return tuple("" if ONLY_OF.get(field, fusion) != fusion else value for field, value in fields.items())


def _of_type(now: Value, value: Value, name: str) -> Value:
    if isinstance(now, str):
        usual = GRIDS[name][1]
        if value not in usual:
            raise UsageError(f"{name} is one of {', '.join(map(as_setting, usual))}, not {as_setting(value)[:40]!r}.")
        return value
    if isinstance(value, str):
        raise UsageError(f"{name} wants numbers, not {value[:40]!r}.")
    if isinstance(now, int):
        if value != int(value) or value < 1:
            raise UsageError(f"{name} wants whole numbers from 1 on, not {value:g}.")
        return int(value)
    if value < 0:
        raise UsageError(f"{name} wants numbers from 0 on, not {value:g}.")
    if name in AT_MOST_1 and value > 1:
        raise UsageError(f"{name} wants numbers from 0 to 1, not {value:g}.")
    return float(value)


def leg_k_of(fields: Fields, options: SearchOptions) -> int:
    """Return the hits that each leg brings in a combination."""
    return int(fields.get("leg_k", options.leg_k))
