"""The part of a passage that a cross-encoder reads where it cannot read all of it.

The passage is the title, then the whole text, or the run of its sentences that shares most with the question. Without
this, models cut off the end of a long text, even where the answer is there.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise

from bothways.core.text.han import HAN, has_han
from bothways.core.text.passage import passage
from bothways.models.protocols import LimitedReader

_SENTENCE = re.compile(r"[^。！？；!?\n]*(?:[。！？；!?\n]+|\.(?=\s))|.+", re.DOTALL)
_WORD = re.compile(rf"[^\W_{HAN}]+|[{HAN}]+")
MOST_OF_QUERY = 0.5
MOST_OF_TITLE = 0.25
"""Largest shares of the model's tokens for the question and the title, so that some are left for the text."""


def fitting_passage(query: str, title: str, text: str, reader: LimitedReader) -> str:
    """Return the passage with as much of the text as the model can read beside the question.

    Of a text that is too long, the window is chosen that has most of the question's different words (pairs of
    characters in Chinese).
    """
    room = reader.pair_tokens
    if len(query) + len(title) + len(text) + 1 <= room:  # a token is one character at least
        return passage(title, text)
    room -= min(len(reader.spans(query)), int(MOST_OF_QUERY * room))
    title = _cut(title, reader.spans(title), int(MOST_OF_TITLE * room)) if title else title
    room -= len(reader.spans(title))
    spans = reader.spans(text)
    if len(spans) <= room:
        return passage(title, text)
    start, end = best_window(text, spans, terms(query), room=max(1, room))
    return passage(title, text[start:end].strip())


def best_window(text: str, spans: Sequence[tuple[int, int]], sought: frozenset[str], *, room: int) -> tuple[int, int]:
    """Return start and end, in characters, of at most `room` tokens of `text` that hold most of the `sought` terms.

    `spans` are the places of the text's tokens. A window begins where a sentence does, or half a window after the last
    begin that was tried. Of equal windows the first that begins with a sentence is taken.
    """
    found = [(place, term) for place, term in _placed(text) if term in sought]
    places = [place for place, _ in found]
    best, best_score = (spans[0][0], _end_of(spans, 0, room)), (-1, False)
    for first, begins_sentence in _starts(text, spans, room):
        start, end = spans[first][0], _end_of(spans, first, room)
        inside = found[bisect_left(places, start) : bisect_left(places, end)]
        score = len({term for place, term in inside if place + len(term) <= end}), begins_sentence
        if score > best_score:
            best, best_score = (start, end), score
    return best


def terms(text: str) -> frozenset[str]:
    """Return the different words of a text in small letters; Chinese comes as pairs of neighbouring characters."""
    return frozenset(term for _, term in _placed(text))


def _placed(text: str) -> Iterator[tuple[int, str]]:
    """Yield all terms with the place of their first character."""
    for match in _WORD.finditer(text):
        run, start = match.group(), match.start()
        if len(run) > 1 and has_han(run[0]):
            yield from ((start + at, a + b) for at, (a, b) in enumerate(pairwise(run)))
        else:
            yield start, run.lower()


def _starts(text: str, spans: Sequence[tuple[int, int]], room: int) -> list[tuple[int, bool]]:
    """Return the tokens at which a window may begin, and whether a sentence does; the last one ends with the text."""
    begins = [match.start() for match in _SENTENCE.finditer(text)]
    latest = max(0, len(spans) - room)
    step = max(1, room // 2)
    starts, last, at = [(0, True)], 0, 0
    for token, (start, _) in enumerate(spans[: latest + 1]):
        is_sentence = False
        while at < len(begins) and begins[at] <= start:
            is_sentence, at = True, at + 1
        if token and (is_sentence or token - last >= step):
            starts.append((token, is_sentence))
            last = token
    return [*starts, (latest, False)] if starts[-1][0] != latest else starts


def _end_of(spans: Sequence[tuple[int, int]], first: int, room: int) -> int:
    return spans[min(len(spans), first + room) - 1][1]


def _cut(text: str, spans: Sequence[tuple[int, int]], room: int) -> str:
    return text if len(spans) <= room else text[: spans[room - 1][1]] if room else ""
