"""Options that several verbs share, and how `--filter` is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from bothways.core.errors import UsageError
from bothways.schemas.bounds import MAX_WINDOW
from bothways.schemas.names import Fusion, Rewrite, Strategy

if TYPE_CHECKING:
    from bothways.core.access.groups import Access

CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="the collection's name")]
AsGroupsOption = Annotated[
    str | None, typer.Option(metavar="A,B", help="search as an API key with these access groups would")
]
JsonOption = Annotated[bool, typer.Option("--json", help="print only JSON")]
FilterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        help="FIELD=VALUE that hits must have; also != > >= < <=, 'FIELD?' (has any value), '!FIELD?' (has none)",
    ),
]
SelfQueryOption = Annotated[
    bool | None,
    typer.Option("--self-query/--no-self-query", help="let names and numbers in QUESTION filter by metadata"),
]
MinScoreOption = Annotated[
    float | None, typer.Option(help="drop hits with a lower score, on the scale of the strategy")
]
RankWindowOption = Annotated[
    int | None, typer.Option(min=1, max=MAX_WINDOW, help="hits that each leg brings; unset: BOTHWAYS_LEG_K")
]
StrategyOption = Annotated[Strategy, typer.Option(help="which legs search, and whether their hits are reranked")]
RewriteOption = Annotated[
    Rewrite | None, typer.Option(help="search also with a passage that a language model writes as an answer")
]
FusionOption = Annotated[Fusion | None, typer.Option(help="how the rankings of BM25 and of the vectors are combined")]

_FILTER = re.compile(r"(?P<no>!?)(?P<field>[^=<>!?]+)(?:(?P<op>!=|>=|<=|=|>|<)(?P<value>.+)|(?P<has>\?))", re.DOTALL)
_BOUNDS = {">=": "gte", ">": "gt", "<=": "lte", "<": "lt"}


def parse_filters(pairs: Sequence[str]) -> dict[str, Any]:
    """Read `--filter` options into bothways/search/query/filters.py's form.

    `law=民法典` (given twice: either), `law!=刑法` (given twice: neither), `year>=2020`, `year<2023`, `signed?`
    (the field is there), `!signed?` (it is not).
    """
    filters: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        match = _FILTER.fullmatch(pair)
        field, value = (match["field"].strip(), (match["value"] or "").strip()) if match else ("", "")
        if match is None or not field or not (value or match["has"]) or (match["no"] and match["op"]):
            raise UsageError(f"--filter wants FIELD=VALUE, FIELD!=VALUE, FIELD>=VALUE or FIELD?, not {pair[:80]!r}.")
        condition = filters.setdefault(field, {})
        if match["has"]:
            _put(condition, "exists", not match["no"], pair)
        elif match["op"] in _BOUNDS:
            _put(condition, _BOUNDS[match["op"]], value, pair)
        else:
            condition.setdefault("any" if match["op"] == "=" else "not", []).append(value)
    return {field: _simple(condition) for field, condition in filters.items()}


def _put(condition: dict[str, Any], operator: str, value: object, pair: str) -> None:
    if operator in condition:
        raise UsageError(f"--filter {pair[:80]!r}: this bound is given twice.")
    condition[operator] = value


def _simple(condition: dict[str, Any]) -> Any:  # noqa: ANN401 – a value, a list, or operators
    if condition.keys() != {"any"}:
        return condition
    values: list[str] = condition["any"]
    return values[0] if len(values) == 1 else values


def parse_access(groups: str | None) -> Access:
    """Read `--as-groups hr,legal`; without it the command line sees everything, since it asks Elasticsearch itself."""
    from bothways.core.access.groups import ADMIN, Access

    if groups is None:
        return ADMIN
    return Access(frozenset(group.strip() for group in groups.split(",") if group.strip()))


def parse_strategy(name: str) -> Strategy:
    """Return a strategy by its name."""
    for strategy in get_args(Strategy):
        if strategy == name.strip():
            return strategy  # type: ignore[no-any-return]
    raise UsageError(f"There is no strategy {name[:40]!r}; there are: {', '.join(get_args(Strategy))}.")
