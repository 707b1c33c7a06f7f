"""Chinese characters in patterns."""

from __future__ import annotations

import re

HAN = r"\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Chinese characters, to stand between the brackets of a pattern: those of all planes, no kana, no punctuation."""

_HAN = re.compile(f"[{HAN}]")


def has_han(text: str) -> bool:
    """Return whether a text has a Chinese character."""
    return _HAN.search(text) is not None


def count_han(text: str) -> int:
    """Return how many characters of a text are Chinese."""
    return len(_HAN.findall(text))
