"""Where a text may be cut: atoms, which stay whole, each with what a cut after it costs; and the cheapest cuts.

All chunkers stand on this; they differ in what they take for an atom, so in where they want their cuts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from math import ceil, inf
from typing import NamedTuple

import numpy as np

from bothways.indexer.chunk.sentences import ends_with_sentence, sentences

_CLAUSE_END = re.compile(r"[，、：](?=.)|[,:](?=[\s\u2e80-\u9fff])", re.DOTALL)
_WORD_END = re.compile(r"\s+(?=\S)")
_MIN_CHARS = 60
_MAX_INDENT = 8

# What a cut costs, beside the squared share by which the pieces miss their mean length.
_AFTER_BLOCK, _AFTER_SENTENCE, _AFTER_OPEN_BLOCK, _AFTER_LINE, _AFTER_COLON = 0.0, 0.04, 0.06, 0.08, 0.3
_MANY = 16  # atoms in a piece from which on numpy is quicker than a loop
_IN_SENTENCE, _IN_CLAUSE, _IN_WORD, _TINY = 1.0, 1.5, 3.0, 1.0


class Atom(NamedTuple):
    """A piece that is never cut, with the white space that follows it, and what a cut after it costs."""

    text: str
    cost: float


class _Sizes(NamedTuple):
    """Of pieces, in characters: the longest there may be, the one that is aimed at, and what is too short."""

    longest: int
    target: float
    tiny: float


AtomsOf = Callable[[str, int], Iterator[Atom]]
"""A block of text and the longest atom, in characters: the block's atoms in order."""


def pieces(blocks: Sequence[str], max_chars: int, atoms_of: AtomsOf | None = None) -> list[str]:
    """Cut blocks of text into pieces of at most `max_chars` characters; a newline stands between blocks.

    What fits is one piece. Else the pieces are of about equal length, cut between the atoms of each block: its
    sentences, or what `atoms_of` gives.
    """
    kept = tidy(blocks)
    whole = "\n".join(kept).strip()
    if len(whole) <= max_chars:
        return [whole] if whole else []
    atoms = [atom for block in kept for atom in (atoms_of or sentence_atoms)(block, max_chars)]
    return assemble(atoms, max_chars)


def tidy(blocks: Sequence[str]) -> list[str]:
    """Drop white space at line ends, empty lines and blocks without text; shorten long runs of spaces."""
    return [text for block in blocks if (text := _tidy(block))]


def assemble(atoms: Sequence[Atom], max_chars: int) -> list[str]:
    """Join atoms to pieces of at most `max_chars` characters and about equal length, by the cheapest cuts."""
    return [text for start, end in spans(atoms, max_chars) if (text := join(atoms[start:end]))]


def join(atoms: Sequence[Atom]) -> str:
    """Return the text of neighbouring atoms, without white space around it."""
    return "".join(atom.text for atom in atoms).strip()


def spans(atoms: Sequence[Atom], max_chars: int) -> Iterator[tuple[int, int]]:
    """Return the pieces that `assemble` makes as ranges of atoms: first, and one after the last."""
    cuts = _best_cuts(atoms, max_chars)
    return zip([0, *cuts], cuts, strict=False)


def sentence_atoms(block: str, max_chars: int) -> Iterator[Atom]:
    """Yield a block's sentences; of one that is too long its clauses, words or stretches."""
    lines = block.split("\n")
    for number, line in enumerate(lines, start=1):
        parts = [part for sentence in sentences(line) for part in _fitting(sentence, max_chars)]
        yield from parts[:-1]
        text = parts[-1].text + "\n"
        yield Atom(text, _cost_after(line, last=number == len(lines)))


def whole_atoms(block: str, max_chars: int) -> Iterator[Atom]:
    """Yield a block as one atom if it fits, else its lines, and of a line that is too long its sentences."""
    if len(block) <= max_chars:
        yield Atom(block + "\n", _cost_after(block, last=True))
        return
    lines = block.split("\n")
    for number, line in enumerate(lines, start=1):
        if len(line) <= max_chars:
            yield Atom(line + "\n", _cost_after(line, last=number == len(lines)))
        else:
            yield from sentence_atoms(line, max_chars)


def _cost_after(line: str, *, last: bool) -> float:
    """Return what a cut after a line costs; a line that ends with a colon stays with what it announces."""
    if line.endswith(("：", ":")):
        return _AFTER_COLON
    if not last:
        return _AFTER_LINE
    return _AFTER_BLOCK if ends_with_sentence(line) else _AFTER_OPEN_BLOCK


def _fitting(sentence: str, max_chars: int) -> Iterator[Atom]:
    """Yield a sentence as one atom if it fits, else its clauses, else their words, else stretches of equal length."""
    levels = ((None, _AFTER_SENTENCE), (_CLAUSE_END, _IN_SENTENCE), (_WORD_END, _IN_CLAUSE))

    def split(text: str, level: int, cost: float) -> Iterator[Atom]:
        if len(text.strip()) <= max_chars:
            yield Atom(text, cost)
        elif level == len(levels):
            size = ceil(len(text) / ceil(len(text) / max_chars))
            parts = [text[i : i + size] for i in range(0, len(text), size)]
            yield from (Atom(part, _IN_WORD) for part in parts[:-1])
            yield Atom(parts[-1], cost)
        else:
            pattern, inner = levels[level]
            ends = [match.end() for match in pattern.finditer(text)] if pattern else []
            parts = [text[i:j] for i, j in zip([0, *ends], [*ends, len(text)], strict=True)]
            for part in parts[:-1]:
                yield from split(part, level + 1, inner)
            yield from split(parts[-1], level + 1, cost)

    yield from split(sentence, 0, _AFTER_SENTENCE)


def _tidy(block: str) -> str:
    """Drop white space at line ends and empty lines, and shorten long runs of spaces."""
    lines = (re.sub(rf"[^\S\n]{{{_MAX_INDENT + 1},}}", " " * _MAX_INDENT, line.rstrip()) for line in block.splitlines())
    return "\n".join(line for line in lines if line)


def _best_cuts(atoms: Sequence[Atom], max_chars: int) -> list[int]:
    """Find the cheapest cuts by dynamic programming over the atoms; a cut is the number of atoms before it."""
    ends = [0]
    for atom in atoms:
        ends.append(ends[-1] + len(atom.text))
    target = ends[-1] / ceil(ends[-1] / max_chars)
    tiny = min(_MIN_CHARS, target / 2)
    dense = len(atoms) * max_chars > _MANY * ends[-1]
    back = (_backwards_at_once if dense else _backwards)(atoms, ends, _Sizes(max_chars, target, tiny))
    cuts = []
    place = len(atoms)
    while place:
        cuts.append(place)
        place = back[place]
    return cuts[::-1]


def _backwards(atoms: Sequence[Atom], ends: Sequence[int], sizes: _Sizes) -> list[int]:
    """Return for each place between atoms the place of the cut before it, if a piece ends there."""
    best = [0.0, *[inf] * len(atoms)]
    back = [0] * (len(atoms) + 1)
    for end in range(1, len(atoms) + 1):
        last = atoms[end - 1]
        stop = ends[end] - len(last.text) + len(last.text.rstrip())
        for start in range(end - 1, -1, -1):
            length = stop - ends[start]
            if length > sizes.longest and start < end - 1:
                break
            miss = length / sizes.target - 1
            cost = best[start] + miss * miss + (_TINY if length < sizes.tiny else 0.0) + last.cost
            if cost < best[end]:
                best[end], back[end] = cost, start
    return back


def _backwards_at_once(atoms: Sequence[Atom], ends: Sequence[int], sizes: _Sizes) -> list[int]:
    """Do the same with all starts of a piece in one step: ten times as quick where an atom is a character or two."""
    best = np.zeros(len(atoms) + 1)
    places = np.array(ends)
    back = [0] * (len(atoms) + 1)
    first = 0
    for end in range(1, len(atoms) + 1):
        last = atoms[end - 1]
        stop = ends[end] - len(last.text) + len(last.text.rstrip())
        while first < end - 1 and stop - ends[first] > sizes.longest:
            first += 1
        lengths = stop - places[first:end]
        miss = lengths / sizes.target - 1
        costs = best[first:end] + miss * miss + _TINY * (lengths < sizes.tiny) + last.cost
        start = end - 1 - int(costs[::-1].argmin())
        best[end], back[end] = costs[start - first], start
    return back
