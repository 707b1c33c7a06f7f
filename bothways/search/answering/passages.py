"""From hits to the passages that the language model reads: the best first, as many as a budget of tokens holds.

Neighbouring chunks of a document become one passage in the order of the text, because the two halves of a rule read
better together. Equal texts are read once.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bothways.core.results import Hit, Neighbour
from bothways.models.llm.usage import estimate_tokens
from bothways.search.answering.types import Passage
from bothways.search.rank.duplicates import drop_copies

OVERHEAD = 20
"""Tokens for the marks around a passage."""

MOST_ABOUT = 300
"""Characters of metadata that the language model reads of a passage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """A chunk to read: a hit, or a neighbour of one. `rank` is the hit's, from 1."""

    chunk_id: str
    doc_id: str
    position: int
    text: str
    hit: Hit
    rank: int

    @property
    def is_hit(self) -> bool:
        return self.chunk_id == self.hit.chunk_id

    def may_join(self, taken: Container[tuple[str, int]]) -> bool:
        """Return whether this is a hit, or the neighbour of one that is read."""
        return self.is_hit or (self.hit.doc_id, self.hit.position) in taken


def build_passages(hits: Sequence[Hit], *, max_tokens: int) -> list[Passage]:
    """Return the passages of the best hits, of about `max_tokens` tokens together, numbered from the best.

    The hits come first, in their order, then their neighbours (`SearchOptions.context`), those of the best hit first.
    What does not fit is left out, and something shorter after it may still fit. The best hit is always there, cut if
    it is too long. Neighbours in other documents, such as the next article, are left out: they have no metadata that
    a citation could name.
    """
    taken: dict[tuple[str, int], _Piece] = {}
    left = max_tokens
    ranks = {hit.chunk_id: rank for rank, hit in enumerate(hits, 1)}
    for piece in _pieces(drop_copies(hits), ranks):
        if (piece.doc_id, piece.position) in taken or not piece.may_join(taken):
            continue
        cost = OVERHEAD + estimate_tokens(piece.hit.title + about(piece.hit)) + estimate_tokens(piece.text)
        if not taken and cost > left:
            room = max(1, left - (cost - estimate_tokens(piece.text)))
            piece = replace(piece, text=_cut(piece.text, room))  # noqa: PLW2901
            cost = left
        if cost <= left:
            taken[piece.doc_id, piece.position] = piece
            left -= cost
    return [_passage(n, run) for n, run in enumerate(_runs(list(taken.values())), 1)]


def about(hit: Hit) -> str:
    """Return what is known of a hit beside its text, on one line: its source, then its metadata."""
    parts = [hit.source] if hit.source else []
    for field, value in hit.metadata.items():
        parts.append(f"{field}={value if isinstance(value, str) else ', '.join(value)}")
    return " ".join(" | ".join(parts).split())[:MOST_ABOUT]


def _pieces(hits: Sequence[Hit], ranks: Mapping[str, int]) -> Iterator[_Piece]:
    """Yield the hits, then the neighbours of each in its own document, the nearest first."""
    for hit in hits:
        yield _piece(hit, hit, ranks)
    for hit in hits:
        if hit.context is None:
            continue
        beside = [chunk for chunk in (*hit.context.before, *hit.context.after) if chunk.doc_id == hit.doc_id]
        for chunk in sorted(beside, key=lambda chunk: abs(chunk.position - hit.position)):
            yield _piece(chunk, hit, ranks)


def _piece(chunk: Hit | Neighbour, hit: Hit, ranks: Mapping[str, int]) -> _Piece:
    return _Piece(
        chunk_id=chunk.chunk_id,
        doc_id=chunk.doc_id,
        position=chunk.position,
        text=chunk.text,
        hit=hit,
        rank=ranks[hit.chunk_id],
    )


def _runs(pieces: list[_Piece]) -> list[list[_Piece]]:
    """Group chunks that follow each other; the group with the best rank comes first."""
    runs: list[list[_Piece]] = []
    for piece in sorted(pieces, key=lambda piece: (piece.doc_id, piece.position)):
        last = runs[-1][-1] if runs else None
        if last and (last.doc_id, last.position + 1) == (piece.doc_id, piece.position):
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return sorted(runs, key=lambda run: min(piece.rank for piece in run))


def _passage(n: int, run: list[_Piece]) -> Passage:
    best = min(run, key=lambda piece: (piece.rank, not piece.is_hit))
    text = "\n".join(piece.text for piece in run)
    return Passage(
        n=n,
        hit=best.hit,
        rank=best.rank,
        chunk_id=best.chunk_id,
        chunk_ids=tuple(piece.chunk_id for piece in run),
        text=text,
    )


def _cut(text: str, tokens: int) -> str:
    while (now := estimate_tokens(text)) > tokens and len(text) > 1:
        text = text[: max(1, min(len(text) - 1, len(text) * tokens // now))]
    return text
