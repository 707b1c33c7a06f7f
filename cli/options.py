"""Options that several verbs share, and how `--filter` is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, get_args

import typer

from core.datatypes import Fusion, Rewrite, Strategy
from core.errors import UsageError

CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="the collection's name")]
JsonOption = Annotated[bool, typer.Option("--json", help="print only JSON")]
RewriteOption = Annotated[
    str | None, typer.Option(metavar="|".join(get_args(Rewrite)), help="pseudo-document for the dense legs")
]
FusionOption = Annotated[
    str | None, typer.Option(metavar="|".join(get_args(Fusion)), help="how BM25 and dense become one")
]


def parse_filters(pairs: Sequence[str]) -> dict[str, str | list[str]]:
    """Read `field=value` options; a field that is given twice may have either value."""
    filters: dict[str, list[str]] = {}
    for pair in pairs:
        field, equals, value = pair.partition("=")
        if not equals or not field.strip() or not value.strip():
            raise UsageError(f"--filter wants FIELD=VALUE, not {pair[:80]!r}.")
        filters.setdefault(field.strip(), []).append(value.strip())
    return {field: values[0] if len(values) == 1 else values for field, values in filters.items()}


def parse_strategy(name: str) -> Strategy:
    """Give a strategy by its name."""
    for strategy in get_args(Strategy):
        if strategy == name.strip():
            return strategy  # type: ignore[no-any-return]
    raise UsageError(f"There is no strategy {name[:40]!r}; there are: {', '.join(get_args(Strategy))}.")


def parse_rewrite(name: str | None) -> Rewrite | None:
    """Read `--rewrite`."""
    for rewrite in get_args(Rewrite):
        if rewrite == name:
            return rewrite  # type: ignore[no-any-return]
    if name is None:
        return None
    raise UsageError(f"--rewrite wants {', '.join(get_args(Rewrite))}, not {name[:40]!r}.")


def parse_fusion(name: str | None) -> Fusion | None:
    """Read `--fusion`."""
    for fusion in get_args(Fusion):
        if fusion == name:
            return fusion  # type: ignore[no-any-return]
    if name is None:
        return None
    raise UsageError(f"--fusion wants {', '.join(get_args(Fusion))}, not {name[:40]!r}.")
