"""From documents to chunks, in one of four ways; each cuts where the text itself has a joint, and none loses a word.

`sentence`: pieces of about equal length, cut at the ends of blocks, else of sentences. `section`: a block that fits is
never cut. `statute`: at articles, then 款, then 项. `semantic`: where the topic changes. A text that
fits into one chunk is one, whatever the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from bothways.core.datatypes import Chunk, ChunkerName, Document
from bothways.indexer.chunk.atoms import pieces, whole_atoms
from bothways.indexer.chunk.piece import Cut, Piece
from bothways.indexer.chunk.semantic import Breakpoints, breakpoints_by_vectors, cut_semantic
from bothways.indexer.chunk.sentences import sentences
from bothways.indexer.chunk.statute import cut_statute
from bothways.models.protocols import Encoder

__all__ = ["chunk", "pieces", "sentences"]


def chunk(
    documents: Iterable[Document],
    chunker: ChunkerName = "sentence",
    *,
    max_chars: int = 300,
    encoder: Callable[[], Encoder] | None = None,
    segmentation: Callable[[], Breakpoints] | None = None,
) -> Iterator[Chunk]:
    """Cut each document into chunks of at most `max_chars` characters, lazily and in order.

    White space at cuts is dropped and long runs of it are shortened; every other character is in exactly one chunk.
    The positions of a document's chunks count from 0. A document without text gives no chunk. `semantic` asks
    `segmentation` where to cut, or where that is None the vectors of `encoder`; either is called for each
    document that is too long for one chunk, and should load its model once (`bothways.core.lazy`).
    """
    if max_chars < 1:
        raise ValueError(f"max_chars is {max_chars}, and must be at least 1")
    cut = _cut(chunker, max_chars, encoder, segmentation)
    for document in documents:
        for position, piece in enumerate(cut(document)):
            yield Chunk(
                chunk_id=f"{document.doc_id}-{position}",
                doc_id=document.doc_id,
                position=position,
                title=document.title,
                heading=f"{document.heading} {piece.place}".strip() if piece.place else document.heading,
                text=piece.text,
                source=document.source,
                metadata={**document.metadata, **piece.metadata} if piece.metadata else document.metadata,
            )


def _cut(
    chunker: ChunkerName,
    max_chars: int,
    encoder: Callable[[], Encoder] | None,
    segmentation: Callable[[], Breakpoints] | None,
) -> Cut:
    match chunker:
        case "sentence":
            return lambda document: map(Piece, pieces(document.blocks, max_chars))
        case "section":
            return lambda document: map(Piece, pieces(document.blocks, max_chars, whole_atoms))
        case "statute":
            return partial(cut_statute, max_chars=max_chars)
        case "semantic":
            breakpoints = _breakpoints(encoder, segmentation)
            return partial(cut_semantic, max_chars=max_chars, breakpoints=breakpoints)


def _breakpoints(encoder: Callable[[], Encoder] | None, segmentation: Callable[[], Breakpoints] | None) -> Breakpoints:
    def breakpoints(texts: Sequence[str]) -> Sequence[int]:
        if segmentation is not None:
            return segmentation()(texts)
        if encoder is not None:
            return breakpoints_by_vectors(texts, encoder())
        raise ValueError("semantic chunks need an encoder or a segmentation model")

    return breakpoints
