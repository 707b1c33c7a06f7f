"""Vectors for chunks and their questions: many texts at a time, since sorting by length is what makes encoding fast."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from core.datatypes import EmbeddedChunk, ExpandedChunk
from core.models.protocols import Encoder


def embed(chunks: Iterable[ExpandedChunk], encoder: Encoder, *, window: int = 128) -> Iterator[EmbeddedChunk]:
    """Encode chunks and their questions, `window` chunks at a time, in order and lazily.

    A window is one call of the encoder, which sorts its texts by length: the larger the window, the less padding,
    and the more chunks are in memory and done again when a run is cut off.
    """
    iterator = iter(chunks)
    while batch := list(islice(iterator, window)):
        yield from _embed_window(batch, encoder)


def _embed_window(batch: Sequence[ExpandedChunk], encoder: Encoder) -> Iterator[EmbeddedChunk]:
    texts = [expanded.chunk.indexed_text for expanded in batch]
    questions = [question for expanded in batch for question in expanded.questions]
    vectors = encoder.encode_documents([*texts, *questions])
    start = len(batch)
    for expanded, vector in zip(batch, vectors[: len(batch)], strict=True):
        end = start + len(expanded.questions)
        yield EmbeddedChunk(expanded, vector, vectors[start:end])
        start = end
