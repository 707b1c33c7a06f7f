"""Examples for the OpenAPI description, from a collection of three statutes; a test asks them."""

from __future__ import annotations

from pydantic import JsonValue

SEARCH_EXAMPLES: list[JsonValue] = []
ANSWER_EXAMPLE: dict[str, JsonValue] = {}
