"""A text under its heading, as it is embedded, asked about and reranked."""

from __future__ import annotations


def passage(heading: str | None, text: str) -> str:
    """Return the text with its heading or title on a line above it, the text alone where there is none."""
    return f"{heading}\n{text}" if heading else text
