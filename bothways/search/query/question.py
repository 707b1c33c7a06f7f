"""The question as it came, made a query."""

from __future__ import annotations

from bothways.core.errors import QueryError
from bothways.core.results import Query
from bothways.core.text.valid import valid_text


def checked_query(text: str, *, max_chars: int) -> Query:
    """Make a query of what somebody typed; raises `QueryError` where it is empty or too long."""
    stripped = valid_text(text).replace("\x00", " ").strip()
    if not stripped:
        raise QueryError("The query is empty: ask something.")
    if len(stripped) > max_chars:
        raise QueryError(f"The query has {len(stripped)} characters; at most {max_chars} are allowed.")
    return Query(stripped)
