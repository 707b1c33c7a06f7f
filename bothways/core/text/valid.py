"""Text that every encoder, index and log takes: half surrogates come from JSON escapes and broken shells."""

from __future__ import annotations


def valid_text(text: str) -> str:
    """Return the text with half surrogates, which UTF-8 cannot encode, replaced by question marks."""
    return text.encode("utf-8", "replace").decode() if any("\ud800" <= char <= "\udfff" for char in text) else text
