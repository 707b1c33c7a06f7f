"""Options that several verbs share, and how `--filter` is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, get_args

import typer

from core.access import ADMIN, Access
from core.datatypes import Strategy
from core.errors import UsageError

CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="the collection's name")]
AsGroupsOption = Annotated[
    str | None, typer.Option(metavar="A,B", help="see what an API key of these access groups would see")
]
JsonOption = Annotated[bool, typer.Option("--json", help="print only JSON")]


def parse_filters(pairs: Sequence[str]) -> dict[str, str | list[str]]:
    """Read `field=value` options; a field that is given twice may have either value."""
    filters: dict[str, list[str]] = {}
    for pair in pairs:
        field, equals, value = pair.partition("=")
        if not equals or not field.strip() or not value.strip():
            raise UsageError(f"--filter wants FIELD=VALUE, not {pair[:80]!r}.")
        filters.setdefault(field.strip(), []).append(value.strip())
    return {field: values[0] if len(values) == 1 else values for field, values in filters.items()}


def parse_access(groups: str | None) -> Access:
    """Read `--as-groups hr,legal`; without it the command line sees all, since it has Elasticsearch itself."""
    if groups is None:
        return ADMIN
    return Access(frozenset(group.strip() for group in groups.split(",") if group.strip()))


def parse_strategy(name: str) -> Strategy:
    """Give a strategy by its name."""
    for strategy in get_args(Strategy):
        if strategy == name.strip():
            return strategy  # type: ignore[no-any-return]
    raise UsageError(f"There is no strategy {name[:40]!r}; there are: {', '.join(get_args(Strategy))}.")
