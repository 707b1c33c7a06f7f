"""Text that every encoder, index and log takes: half surrogates come from JSON escapes and broken shells."""

from __future__ import annotations


def valid_text(text: str) -> str:
    """Replace half surrogates, which no UTF-8 holds, by question marks; other text is given back as it is."""
    return text.encode("utf-8", "replace").decode() if any("\ud800" <= char <= "\udfff" for char in text) else text
