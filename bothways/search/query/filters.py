"""What a request may ask of metadata, turned into filter clauses: values, ranges, dates, exists, not and any.

A filter is `{field: condition}`; all fields must hold. A condition is a value, a list of which any will do, or an
object of operators that must all hold:

    {"year": {"gte": 2020, "lt": 2023}, "law": {"not": ["刑法", "宪法"]}, "signed": {"exists": true},
     "date": {"any": [{"lt": "1990"}, {"gte": "2020-05-01"}]}}

The names and values of a request only ever become values of `terms`, `range`, `exists` and `bool`: no query language,
no script, no pattern. Metadata is text in the index; its sub-fields `number` and `date` hold what of it can be read as
one, so that 9 is below 10 and 2020-9-1 below 2020-10-01.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, TypeGuard

from bothways.core.errors import UnknownFieldError, UsageError
from bothways.core.text.valid import valid_text
from bothways.schemas.filters import OPERATORS, Scalar

FilterValue = Scalar | Sequence[Any] | Mapping[str, Any]
"""A condition on one field: a value, a list of values, or an object of operators."""

Clause = dict[str, Any]
Bound = Literal["gte", "gt", "lte", "lt"]

MAX_CONDITIONS = 100
MAX_VALUES = 1000
MAX_DEPTH = 4
MAX_CHARS = 8191
"""Longest value that the index holds, in characters: a longer one in a filter is refused."""

_MOST_BITS = 4096
PLAIN = frozenset({"doc_id", "source", "chunk_id"})
_BOUNDS: tuple[Bound, ...] = ("gte", "gt", "lte", "lt")
_DAY = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


def filter_clauses(
    filters: Mapping[str, FilterValue], *, fields: Iterable[str], ranges: Iterable[str] = ()
) -> list[Clause]:
    """Turn a filter into clauses of a `bool` query's `filter`, one or more a field.

    `fields` are the collection's metadata, named with or without `metadata.` in front, beside `doc_id`, `chunk_id`
    and `source`; `ranges` are those of them whose index has numbers and dates. Raises `UnknownFieldError` naming what
    there is, and `UsageError` for an operator or value that cannot be used, or too many or too deep ones.
    """
    reader = _Reader(frozenset(fields), frozenset(ranges))
    return [clause for name, condition in filters.items() for clause in reader.condition(name, condition, depth=1)]


@dataclass(slots=True)
class _Reader:
    fields: frozenset[str]
    ranges: frozenset[str]
    conditions: int = field(default=0)

    def condition(self, name: str, condition: object, *, depth: int) -> list[Clause]:
        """Return the clauses of one condition on one field, all of which must hold."""
        path = self._path(name)
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            raise UsageError(f"Filters have {MAX_CONDITIONS} conditions at most.")
        if isinstance(condition, Mapping):
            if depth > MAX_DEPTH:
                raise UsageError(f"Filters are nested {MAX_DEPTH} deep at most.")
            return self._operators(name, path, condition, depth)
        return [{"terms": {path: _keywords(name, condition)}}]

    def _operators(self, name: str, path: str, condition: Mapping[str, Any], depth: int) -> list[Clause]:
        unknown = [operator for operator in condition if operator not in OPERATORS]
        if unknown or not condition:
            what = f"no operator {str(unknown[0])[:40]!r}" if unknown else "no operator given"
            raise UsageError(f"In the filter on {name[:80]!r} there is {what}; there are: {', '.join(OPERATORS)}.")
        clauses = self._range(name, path, condition)
        if "exists" in condition:
            if not isinstance(condition["exists"], bool):
                raise UsageError(f"The filter on {name[:80]!r}: exists wants true or false.")
            there: Clause = {"exists": {"field": path}}
            clauses.append(there if condition["exists"] else _not(there))
        if "not" in condition:
            clauses.append(_not(_all(self.condition(name, condition["not"], depth=depth + 1))))
        if "any" in condition:
            several = condition["any"]
            if not _is_list(several) or not several:
                raise UsageError(f"The filter on {name[:80]!r}: any wants a list of values or conditions.")
            clauses.append(self._any(name, several, depth))
        return clauses

    def _any(self, name: str, several: Sequence[object], depth: int) -> Clause:
        """Values go into one `terms`, conditions become alternatives to it."""
        values = [item for item in several if not isinstance(item, Mapping)]
        options = [_all(self.condition(name, item, depth=depth + 1)) for item in several if isinstance(item, Mapping)]
        if values:
            options += self.condition(name, values, depth=depth + 1)
        return _any(options)

    def _range(self, name: str, path: str, condition: Mapping[str, Any]) -> list[Clause]:
        bounds = {operator: condition[operator] for operator in _BOUNDS if operator in condition}
        if not bounds:
            return []
        if {"gte", "gt"} <= bounds.keys() or {"lte", "lt"} <= bounds.keys():
            raise UsageError(f"The filter on {name[:80]!r} has two bounds on one side; give one of them.")
        if path.removeprefix("metadata.") not in self.ranges:
            raise UsageError(
                f"The field {name[:80]!r} has no ranges: the collection was built before they existed "
                "(build it anew with `bothways index PATH --collection NAME --recreate`), or it is no metadata."
            )
        numbers = {operator: _number(value) for operator, value in bounds.items()}
        dates = {operator: _period(value) for operator, value in bounds.items()}
        options: list[Clause] = []
        if all(number is not None for number in numbers.values()):
            options.append({"range": {f"{path}.number": numbers}})
        if all(period is not None for period in dates.values()):
            limits = dict(_limit(operator, period) for operator, period in dates.items() if period is not None)
            options.append({"range": {f"{path}.date": {**limits, "format": "strict_date_optional_time"}}})
        if not options:
            raise UsageError(
                f"The filter on {name[:80]!r} wants numbers, or dates such as 2020, 2020-05, 2020-05-01 or "
                "2020-05-01T10:00:00+08:00, on both sides the same."
            )
        return [_any(options)]

    def _path(self, name: str) -> str:
        bare = name.removeprefix("metadata.")
        if bare in self.fields:
            return f"metadata.{bare}"
        if name in PLAIN:
            return name
        there = ", ".join(sorted(self.fields | PLAIN))
        raise UnknownFieldError(f"There is no field {name[:80]!r} to filter by; this collection has: {there}.")


def _all(clauses: list[Clause]) -> Clause:
    return clauses[0] if len(clauses) == 1 else {"bool": {"filter": clauses}}


def _any(options: list[Clause]) -> Clause:
    return options[0] if len(options) == 1 else {"bool": {"should": options, "minimum_should_match": 1}}


def _not(clause: Clause) -> Clause:
    return {"bool": {"must_not": [clause]}}


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _keywords(name: str, value: object) -> list[str]:
    values = list(value) if _is_list(value) else [value]
    if not values:
        raise UsageError(f"The filter on {name[:80]!r} names no value.")
    if len(values) > MAX_VALUES:
        raise UsageError(f"The filter on {name[:80]!r} has {len(values)} values, {MAX_VALUES} are the most.")
    return [_keyword(name, item) for item in values]


def _keyword(name: str, value: object) -> str:
    """Write a value as the readers write it into the index."""
    if not isinstance(value, str | int | float):
        raise UsageError(f"The filter on {name[:80]!r} wants text, numbers, true or false, not {type(value).__name__}.")
    if _is_huge(value):
        raise UsageError(f"The filter on {name[:80]!r} has a number of more digits than the index holds.")
    text = valid_text(str(value).lower() if isinstance(value, bool) else str(value))
    if len(text) > MAX_CHARS:
        raise UsageError(
            f"The filter on {name[:80]!r} has a value of {len(text)} characters, {MAX_CHARS} are the most."
        )
    return text


def _is_huge(value: object) -> bool:
    """Return whether a whole number has more bits than any that is meant: Python writes none of 4,300 digits."""
    return isinstance(value, int) and value.bit_length() > _MOST_BITS


def _number(value: object) -> float | None:
    """Read a bound as a number, from JSON or from text; None where it is none, or none that is finite."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and not (len(value) <= 40 and _NUMBER.fullmatch(value.strip())):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _period(value: object) -> tuple[str, str | None] | None:
    """Read a bound as a date: the moment it begins, and the one at which it is over (None for a moment itself).

    2020 is a year, 2020-05 a month, 2020-05-01 a day: "later than 2020" begins in 2021.
    """
    is_text = isinstance(value, str | int) and not isinstance(value, bool) and not _is_huge(value)
    text = str(value).strip() if is_text else ""
    if match := _DAY.fullmatch(text):
        year, month, day = (int(part) if part else None for part in match.groups())
        try:
            first = date(year or 0, month or 1, day or 1)
            if day is not None:
                following = first + timedelta(days=1)
            else:
                following = date(first.year + (month in {None, 12}), first.month % 12 + 1 if month else 1, 1)
        except (ValueError, OverflowError):
            return None
        return first.isoformat(), following.isoformat()
    try:
        moment = datetime.fromisoformat(text) if "T" in text or " " in text else None
        if moment is None:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat(), None
    except (ValueError, OverflowError):
        return None


def _limit(operator: Bound, period: tuple[str, str | None]) -> tuple[Bound, str]:
    """Make a bound by a period one by a moment: above 2020 is from 2021-01-01 on, up to 2020 is before it."""
    begins, over = period
    if over is None or operator in {"gte", "lt"}:
        return operator, begins
    return ("gte", over) if operator == "gt" else ("lt", over)
