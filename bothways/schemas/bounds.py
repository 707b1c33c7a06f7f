"""How large parts of a request may be, and the patterns of names."""

from __future__ import annotations

from typing import Any

NAME: dict[str, Any] = {"pattern": "^[a-z0-9][a-z0-9_-]*$", "minLength": 1, "maxLength": 100}
"""The JSON schema of a collection's name. It describes only: what refuses a name says what to do instead."""

NOT_EMPTY: dict[str, Any] = {"pattern": r"\S", "minLength": 1}

MAX_ID_BYTES = 480
"""Longest id that a document may bring, in UTF-8: Elasticsearch takes 512 bytes, and a chunk's id has its position
added."""

MAX_WINDOW = 200
"""The most hits that a request may let each leg return."""

MAX_OFFSET = 600
"""The largest offset of a request: three legs of `MAX_WINDOW` hits are all the candidates that there can be."""

MAX_CONTEXT = 5
"""The most neighbours that are shown on each side of a hit."""

MAX_MESSAGES = 200
"""Messages of a history that a request may hold; the last of them are read."""
