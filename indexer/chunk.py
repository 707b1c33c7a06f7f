"""From documents to chunks: pieces of about equal length, cut where the text itself has a joint.

A text that fits is one chunk. A longer one is cut at the ends of blocks, else of sentences; only a sentence that
alone is too long is cut inside. Nothing is lost and nothing stands in two chunks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from math import ceil, inf
from typing import NamedTuple

from core.datatypes import Chunk, Document

_SENTENCE_END = re.compile(
    r"[。！？；｡…]+[!?！？。]*|[!?;]+(?=[\s”’」』）)\]\"'\u2e80-\u9fff\uff00-\uffef]|$)|\.+(?=[\s”’)\]\"']|$)"
)
_CLOSERS = "”’」』）)】》〉〕］]\"'"
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|vs|[Ee]\.g|[Ii]\.e|al|[Ff]igs?|[Ee]qs?|No|Nos|[Aa]rt|[Ss]ec|approx|cf|"
    r"Jr|Sr|[Vv]ol|pp?)\.$"
)
_NUMBERING = re.compile(r"^\s*\d{1,3}\.$")
_CLAUSE_END = re.compile(r"[，、：](?=.)|[,:](?=[\s\u2e80-\u9fff])", re.DOTALL)
_WORD_END = re.compile(r"\s+(?=\S)")
_MIN_CHARS = 60
_MAX_INDENT = 8
_NEAR = 2_000

# What a cut costs, beside the squared share by which the pieces miss their mean length.
_AFTER_BLOCK, _AFTER_SENTENCE, _AFTER_OPEN_BLOCK, _AFTER_LINE, _AFTER_COLON = 0.0, 0.04, 0.06, 0.08, 0.3
_IN_SENTENCE, _IN_CLAUSE, _IN_WORD, _TINY = 1.0, 1.5, 3.0, 1.0


class _Atom(NamedTuple):
    """A piece that is never cut, with the white space that follows it, and what a cut after it costs."""

    text: str
    cost: float


def chunk(documents: Iterable[Document], *, max_chars: int = 300) -> Iterator[Chunk]:
    """Cut each document into chunks of at most `max_chars` characters, lazily and in order.

    White space at cuts is dropped and long runs of it are shortened; every other character is in exactly one chunk.
    The positions of a document's chunks count from 0. A document without text gives no chunk.
    """
    if max_chars < 1:
        raise ValueError(f"max_chars is {max_chars}, and must be at least 1")
    for document in documents:
        for position, text in enumerate(pieces(document.blocks, max_chars)):
            yield Chunk(
                chunk_id=f"{document.doc_id}-{position}",
                doc_id=document.doc_id,
                position=position,
                title=document.title,
                heading=document.heading,
                text=text,
                source=document.source,
                metadata=document.metadata,
            )


def pieces(blocks: Sequence[str], max_chars: int) -> list[str]:
    """Cut blocks of text into pieces of at most `max_chars` characters; a newline stands between blocks."""
    tidy = [text for block in blocks if (text := _tidy(block))]
    whole = "\n".join(tidy).strip()
    if len(whole) <= max_chars:
        return [whole] if whole else []
    atoms = [atom for block in tidy for atom in _atoms(block, max_chars)]
    cuts = _best_cuts(atoms, max_chars)
    texts = ("".join(atom.text for atom in atoms[i:j]).strip() for i, j in zip([0, *cuts], cuts, strict=False))
    return [text for text in texts if text]


def sentences(line: str) -> list[str]:
    """Split a line after each sentence, with its closing quotes and brackets and the spaces that follow."""
    parts: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(line):
        if match.end() <= start or not _ends_sentence(line, start, match):
            continue
        end = match.end()
        while end < len(line) and line[end] in _CLOSERS and not _opens(line, end):
            end += 1
        while end < len(line) and line[end].isspace():
            end += 1
        parts.append(line[start:end])
        start = end
    return [*parts, line[start:]] if start < len(line) else parts


def _ends_sentence(line: str, start: int, match: re.Match[str]) -> bool:
    """Tell whether a mark ends a sentence: no full stop after an abbreviation or number, or before a small letter."""
    if not match[0].startswith("."):
        return True
    before = line[max(start, match.end() - 12) : match.end()]
    following = line[match.end() : match.end() + 20].lstrip(_CLOSERS + " ")[:1]
    return not (_ABBREVIATION.search(before) or _NUMBERING.match(line[start : match.end()]) or following.islower())


def _opens(line: str, place: int) -> bool:
    """Tell whether a straight quote opens: a word follows it, and an even number of them stands before it."""
    quote, following = line[place], line[place + 1 : place + 2]
    return quote in "\"'" and following.strip() != "" and line.count(quote, max(0, place - _NEAR), place) % 2 == 0


def _tidy(block: str) -> str:
    """Drop white space at line ends and empty lines, and shorten long runs of spaces."""
    lines = (re.sub(rf"[^\S\n]{{{_MAX_INDENT + 1},}}", " " * _MAX_INDENT, line.rstrip()) for line in block.splitlines())
    return "\n".join(line for line in lines if line)


def _atoms(block: str, max_chars: int) -> Iterator[_Atom]:
    lines = block.split("\n")
    for number, line in enumerate(lines, start=1):
        parts = [part for sentence in sentences(line) for part in _fitting(sentence, max_chars)]
        yield from parts[:-1]
        text = parts[-1].text + "\n"
        ended = _SENTENCE_END.search(line.rstrip(_CLOSERS)[-1:]) is not None
        if line.endswith(("：", ":")):
            yield _Atom(text, _AFTER_COLON)
        elif number < len(lines):
            yield _Atom(text, _AFTER_LINE)
        else:
            yield _Atom(text, _AFTER_BLOCK if ended else _AFTER_OPEN_BLOCK)


def _fitting(sentence: str, max_chars: int) -> Iterator[_Atom]:
    """Yield a sentence as one atom if it fits, else its clauses, else their words, else stretches of equal length."""
    levels = ((None, _AFTER_SENTENCE), (_CLAUSE_END, _IN_SENTENCE), (_WORD_END, _IN_CLAUSE))

    def split(text: str, level: int, cost: float) -> Iterator[_Atom]:
        if len(text.strip()) <= max_chars:
            yield _Atom(text, cost)
        elif level == len(levels):
            size = ceil(len(text) / ceil(len(text) / max_chars))
            parts = [text[i : i + size] for i in range(0, len(text), size)]
            yield from (_Atom(part, _IN_WORD) for part in parts[:-1])
            yield _Atom(parts[-1], cost)
        else:
            pattern, inner = levels[level]
            ends = [match.end() for match in pattern.finditer(text)] if pattern else []
            parts = [text[i:j] for i, j in zip([0, *ends], [*ends, len(text)], strict=True)]
            for part in parts[:-1]:
                yield from split(part, level + 1, inner)
            yield from split(parts[-1], level + 1, cost)

    yield from split(sentence, 0, _AFTER_SENTENCE)


def _best_cuts(atoms: Sequence[_Atom], max_chars: int) -> list[int]:
    """Find the cheapest cuts by dynamic programming over the atoms; a cut is the number of atoms before it."""
    ends = [0]
    for atom in atoms:
        ends.append(ends[-1] + len(atom.text))
    target = ends[-1] / ceil(ends[-1] / max_chars)
    tiny = min(_MIN_CHARS, target / 2)
    best = [0.0, *[inf] * len(atoms)]
    back = [0] * (len(atoms) + 1)
    for end in range(1, len(atoms) + 1):
        last = atoms[end - 1]
        stop = ends[end] - len(last.text) + len(last.text.rstrip())
        for start in range(end - 1, -1, -1):
            length = stop - ends[start]
            if length > max_chars and start < end - 1:
                break
            miss = length / target - 1
            cost = best[start] + miss * miss + (_TINY if length < tiny else 0.0) + last.cost
            if cost < best[end]:
                best[end], back[end] = cost, start
    cuts = []
    place = len(atoms)
    while place:
        cuts.append(place)
        place = back[place]
    return cuts[::-1]
