"""The sentences of a hit that contain the question's words, which are marked.

The text is marked as it was written, not as the index has it, cut into words. Case and width do not matter, as in BM25.
"""

from __future__ import annotations

import html
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

Span = tuple[int, int]

_SENTENCE = re.compile(r"[^。！？；!?\n]+?(?:[。！？；!?]+[”’」』）]*|\.(?=\s)|(?=\n)|$)")
_CJK = r"\u1100-\u11ff\u2e80-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
_CJK_RUN = re.compile(rf"[{_CJK}]{{2,}}")
_LETTER = rf"[^\W_{_CJK}]"
_LONGEST = 240
_LEAD = 20


def highlight(text: str, terms: Sequence[str], *, query: str = "", most: int = 3) -> tuple[str, ...]:
    """Return up to `most` sentences of `text` with the question's terms in `<em>`, the best first.

    The best sentence has the greatest total length of different terms. A term of several words, with blanks between, is
    found where they stand side by side. A single character is marked only if it is the only term. Where no term is
    found, the pairs of characters that `query` and the text share are marked, because BM25 looks for them too. The
    result is HTML-escaped. A sentence of more than 240 characters is cut to the part with most terms.
    """
    marked = _sentences(text, _pattern(tuple(terms)), most)
    return marked or (_sentences(text, _pattern(bigrams(query)), most) if query else ())


def marked_terms(terms: Iterable[tuple[str, str]]) -> list[str]:
    """Return the terms to mark, of pairs (term, its words in the question); see `highlight` for single characters."""
    rows = list(terms)
    is_one_word = len({in_question for _, in_question in rows}) == 1
    return [term for term, in_question in rows if len(term) > 1 or (is_one_word and term == in_question)]


def bigrams(text: str) -> tuple[str, ...]:
    """Return the different pairs of neighbouring characters in the Chinese, Japanese or Korean parts of a text."""
    folded, _ = fold(text)
    runs = (match.group() for match in _CJK_RUN.finditer(folded))
    return tuple(dict.fromkeys(run[at : at + 2] for run in runs for at in range(len(run) - 1)))


def find(text: str, terms: Sequence[str]) -> list[Span]:
    """Return the places of terms in a text, as (start, end) in characters, in order; overlapping ones are merged."""
    return [span for span, _ in _merged(_matches(text, _pattern(tuple(terms))))]


def fold(text: str) -> tuple[str, list[Span]]:
    """Return a text as BM25 compares it (NFKC, lower case), and for each of its characters the span it comes from."""
    folded: list[str] = []
    origins: list[Span] = []
    for start, end in _clusters(text):
        plain = unicodedata.normalize("NFKC", text[start:end]).lower()
        folded.append(plain)
        origins += [(start, end)] * len(plain)
    return "".join(folded), origins


def _clusters(text: str) -> Iterable[Span]:
    """Yield the span of each character with the marks that combine with it."""
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or not unicodedata.combining(text[at]):
            yield start, at
            start = at


@lru_cache(maxsize=256)
def _pattern(terms: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return the pattern that finds at each position the longest term that begins there."""
    folded = {fold(term)[0].strip() for term in terms} - {""}
    if not folded:
        return None
    return re.compile(f"(?=({'|'.join(map(_term_pattern, sorted(folded, key=lambda term: (-len(term), term))))}))")


def _term_pattern(term: str) -> str:
    """Return the pattern of a term: letters and digits as whole words, Chinese anywhere."""
    words = term.split()
    pattern = re.escape(words[0])
    for before, word in pairwise(words):
        both = re.match(_LETTER, before[-1]) and re.match(_LETTER, word[0])
        pattern += (r"[\W_]{1,3}" if both else r"[\W_]{0,3}") + re.escape(word)
    opening = f"(?<!{_LETTER})" if re.match(_LETTER, term[0]) else ""
    closing = f"(?!{_LETTER})" if re.match(_LETTER, term[-1]) else ""
    return f"{opening}{pattern}{closing}"


def _matches(text: str, pattern: re.Pattern[str] | None) -> list[tuple[Span, str]]:
    if pattern is None:
        return []
    folded, origins = fold(text)
    return [
        ((origins[match.start(1)][0], origins[match.end(1) - 1][1]), match.group(1))
        for match in pattern.finditer(folded)
    ]


def _merged(matches: Iterable[tuple[Span, str]]) -> list[tuple[Span, set[str]]]:
    merged: list[tuple[Span, set[str]]] = []
    for (start, end), term in matches:
        if merged and start < merged[-1][0][1]:
            (first, last), terms = merged[-1]
            terms.add(term)
            merged[-1] = ((first, max(last, end)), terms)
        else:
            merged.append(((start, end), {term}))
    return merged


def _sentences(text: str, pattern: re.Pattern[str] | None, most: int) -> tuple[str, ...]:
    found = []
    for match in _SENTENCE.finditer(text):
        sentence = match.group().strip()
        if spans := _merged(_matches(sentence, pattern)):
            found.append((_weight(spans), sentence, spans))
    best = sorted(found, key=lambda row: -row[0])[:most]
    return tuple(_mark(sentence, spans) for _, sentence, spans in best)


def _weight(spans: Iterable[tuple[Span, set[str]]]) -> int:
    return sum(map(len, set[str]().union(*(terms for _, terms in spans))))


def _mark(sentence: str, spans: Sequence[tuple[Span, set[str]]]) -> str:
    first, last = _best_part(sentence, spans)
    pieces: list[str] = []
    at = first
    for (start, end), _ in spans:
        if first <= start and end <= last:
            pieces += [html.escape(sentence[at:start]), f"<em>{html.escape(sentence[start:end])}</em>"]
            at = end
    return "".join([*pieces, html.escape(sentence[at:last])])


def _best_part(sentence: str, spans: Sequence[tuple[Span, set[str]]]) -> Span:
    if len(sentence) <= _LONGEST:
        return 0, len(sentence)

    begins, ends = [start for (start, _), _ in spans], [end for (_, end), _ in spans]

    def weight(start: int) -> int:
        return _weight(spans[bisect_left(begins, start) : bisect_right(ends, start + _LONGEST)])

    starts = [min(max(0, span[0] - _LEAD), len(sentence) - _LONGEST) for span, _ in spans]
    start = max(starts, key=weight)
    return start, start + _LONGEST
