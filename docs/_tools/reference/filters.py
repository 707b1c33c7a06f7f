"""docs/reference/filters.md: what a search can ask of metadata, as the API describes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bothways.core.text.markdown import markdown_table
from bothways.schemas.filters import OPERATORS

INTRODUCTION = """# Filters

A search can be limited to chunks whose metadata fulfils conditions: `filters` in a request, `--filter` on the command
line.

| to find | REST, in `filters` | command line |
|---|---|---|
| one of several values | `{"law": ["民法典", "刑法"]}` | `--filter law=民法典 --filter law=刑法` |
| none of some values | `{"law": {"not": ["刑法", "宪法"]}}` | `--filter 'law!=刑法'` |
| a range of numbers | `{"year": {"gte": 2020, "lt": 2023}}` | `--filter 'year>=2020' --filter 'year<2023'` |
| a range of dates | `{"signed": {"gt": "2020-05", "lte": "2021-01-31"}}` | `--filter 'signed>2020-05'` |
| documents with a field, or without it | `{"signed": {"exists": true}}` | `--filter 'signed?'`, `--filter '!signed?'` |
| one of several conditions | `{"year": {"any": [{"lt": 1990}, {"gte": 2020}]}}` | |

## Operators
"""

RULES = """All operators of one field must hold, and all fields must.

- **Dates**: `2020` is the whole year and `2020-05` the whole month, so `gt` begins after it and `lte` includes it.
  Dates without a time zone are UTC. Documents may write 2020-9-1, 2020/9/1, 2020.9.1 or 2020年9月1日.
- **`not`** also matches documents without the field.
- **An unknown field or operator** is refused with a list of those that exist.
- **Old collections**: a collection that was built before ranges existed refuses ranges until it is built again.

Names and numbers in the question itself act as filters, too: [self-query](../decisions/self-query-and-filters.md).
"""


def filters_page(openapi: Mapping[str, Any]) -> str:
    """Return the page as Markdown; the operators are those of the server's OpenAPI description."""
    fields = openapi["components"]["schemas"]["Operators"]["properties"]
    if fields.keys() != set(OPERATORS):
        raise ValueError(f"the API describes {sorted(fields)}, and searches know {sorted(OPERATORS)}")
    rows = ((f"`{name}`", field["description"]) for name, field in fields.items())
    return "\n".join([INTRODUCTION, markdown_table(("operator", "matches"), rows), "", RULES])
