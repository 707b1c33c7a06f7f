"""The sentences of a hit in which the question's words stand, marked for people to see."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

_SENTENCE = re.compile(r"[^。！？；!?\n]+[。！？；!?]*")


def highlight(text: str, words: Sequence[str], *, most: int = 3) -> tuple[str, ...]:
    """Give up to `most` sentences of `text` with the words that they share with the question in `<em>`.

    The text is HTML-escaped, so that it can be shown as it is. Single characters and lone digits do not count as
    words: they would light up everywhere.
    """
    wanted = sorted({word for word in words if len(word) > 1}, key=len, reverse=True)
    if not wanted:
        return ()
    pattern = re.compile("|".join(re.escape(word) for word in wanted), re.IGNORECASE)
    found = [(len(set(pattern.findall(sentence))), sentence) for sentence in _SENTENCE.findall(text)]
    best = sorted((row for row in found if row[0]), key=lambda row: -row[0])[:most]
    return tuple(_mark(sentence.strip(), pattern) for _, sentence in best)


def _mark(sentence: str, pattern: re.Pattern[str]) -> str:
    pieces: list[str] = []
    end = 0
    for match in pattern.finditer(sentence):
        pieces += [html.escape(sentence[end : match.start()]), f"<em>{html.escape(match.group())}</em>"]
        end = match.end()
    return "".join([*pieces, html.escape(sentence[end:])])
