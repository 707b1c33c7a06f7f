"""Reports and model cards as Markdown, from the templates beside this file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2

from bothways.core.text.markdown import markdown_table, one_line

CARD = "README.md"
"""The name under which hubs read a model's card."""


def render(template: str, **values: Any) -> str:  # noqa: ANN401
    """Return a page. Text of strangers goes through the filter `one_line`, or a cell of `table`."""
    return _environment().get_template(template).render(**values)


def listed(value: object) -> str:
    """Return counts by name on one line, anything else as it is."""
    return ", ".join(f"{name} {number}" for name, number in value.items()) if isinstance(value, Mapping) else str(value)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bothways.learning"),
        autoescape=False,  # noqa: S701 - Markdown; what strangers wrote is put on one line
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["table"] = markdown_table
    environment.filters |= {"one_line": one_line, "listed": listed, "number": _number}
    return environment


def _number(value: float | None, form: str = ".4f") -> str:
    return "" if value is None else format(value, form)
