"""Statutes: a chunk never holds text of two articles, and one that is a part of an article says which part it is.

An article that is too long is cut between its paragraphs (款), a paragraph that is too long between its items (项), an
item that is too long at its sentences. Readers give an article a document where they know a law when they see it; in
what comes otherwise (the page of a PDF, a Word file) the articles are found here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from bothways.core.datatypes import Document
from bothways.core.text.numerals import chinese_number
from bothways.indexer.chunk.atoms import Atom, join, pieces, spans, tidy, whole_atoms
from bothways.indexer.chunk.piece import Piece
from bothways.indexer.read.statute import article_name, article_starts, is_part_heading

_ARTICLE_TITLE = re.compile(r"第[零〇一二三四五六七八九十百千\d]+条(之[零〇一二三四五六七八九十\d]+)?$")
_ITEM = re.compile(r"^\s*[（(]([一二三四五六七八九十百]+)[)）]")
_SUBITEM = re.compile(r"^\s*(\d{1,2}[.．、]|[（(]\d{1,2}[)）])")
_PARAGRAPH_END = re.compile(r"[。！？][”’」』）)】》]*$")


def cut_statute(document: Document, max_chars: int) -> Iterator[Piece]:
    """Cut a document at its articles, and an article longer than `max_chars` at its paragraphs, items, sentences.

    A document that is neither an article nor has any (an annex, a page of notes) is cut at its paragraphs.
    """
    lines = [line for block in tidy(document.blocks) for line in block.split("\n")]
    if "article" in document.metadata or _ARTICLE_TITLE.search(document.title):
        yield from _article(lines, max_chars)
        return
    starts = sorted(article_starts(lines))
    bounds = [*(_with_headings(lines, start) for start in starts), len(lines)]
    yield from map(Piece, pieces(lines[: bounds[0]] if starts else document.blocks, max_chars, whole_atoms))
    for start, (first, end) in zip(starts, pairwise(bounds), strict=True):
        name = article_name(lines[start])
        for piece in _article(lines[first:end], max_chars):
            yield Piece(piece.text, f"{name}{piece.place}", {"article": name})


def _with_headings(lines: Sequence[str], start: int) -> int:
    """Return the line where an article begins together with the headings (章, 节) right above it."""
    while start > 0 and is_part_heading(lines[start - 1]):
        start -= 1
    return start


def _article(lines: Sequence[str], max_chars: int) -> Iterator[Piece]:
    whole = "\n".join(lines).strip()
    if len(whole) <= max_chars:
        yield from [Piece(whole)] if whole else []
        return
    paragraphs = _paragraphs(lines)
    atoms: list[Atom] = []
    places: list[tuple[int, str]] = []
    for number, paragraph in enumerate(paragraphs, start=1):
        item = ""
        for atom in whole_atoms(paragraph, max_chars):
            if len(paragraph) > max_chars and (match := _ITEM.match(atom.text)):
                item = match[1]
            atoms.append(atom)
            places.append((number, item))
    for start, end in spans(atoms, max_chars):
        if text := join(atoms[start:end]):
            yield Piece(text, _place(places[start:end], alone=len(paragraphs) == 1))


def _paragraphs(lines: Sequence[str]) -> list[str]:
    """Group lines into 款: a line begins one if it is no item and the line before it has come to an end."""
    groups: list[list[str]] = []
    for line in lines:
        begins = not groups or _PARAGRAPH_END.search(groups[-1][-1])
        if begins and not (groups and (_ITEM.match(line) or _SUBITEM.match(line))):
            groups.append([line])
        else:
            groups[-1].append(line)
    return ["\n".join(group) for group in groups]


def _place(places: Sequence[tuple[int, str]], *, alone: bool) -> str:
    """Name the 款 and 项 of a piece, as a lawyer would cite them: 第一款第三项至第五项, 第二款至第四款."""
    (first, _), (last, last_item) = places[0], places[-1]
    begins = next((item for number, item in places if number == first and item), "")
    opening = ("" if alone else f"第{chinese_number(first)}款") + (f"第{begins}项" if begins else "")
    if first == last:
        return opening + (f"至第{last_item}项" if last_item != begins else "")
    return f"{opening}至第{chinese_number(last)}款" + (f"第{last_item}项" if last_item else "")
