"""Vectors for chunks and their questions: many texts at a time, since sorting by length is what makes encoding fast."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing

import numpy as np

from bothways.core.batches import batched
from bothways.core.datatypes import EmbeddedChunk, ExpandedChunk, Vector
from bothways.indexer.workers.overlap import overlapped
from bothways.models.protocols import Encoder

AHEAD = 2
"""Windows that are taken and not yet given: one is encoded while the one before it is sent and the next one read."""
SLICE = 128
"""Texts in one call of the encoder: what a run that is cut off waits for."""


def embed(chunks: Iterable[ExpandedChunk], encoder: Encoder, *, window: int = 128) -> Iterator[EmbeddedChunk]:
    """Encode chunks and their questions, `window` chunks at a time, in order and lazily, in a thread of their own.

    The texts of a window are encoded by length: the larger the window, the less padding, and the more chunks are in
    memory and done again when a run is cut off.
    """
    stop = threading.Event()

    def encode(batch: Sequence[ExpandedChunk]) -> list[EmbeddedChunk]:
        return _embed_window(batch, encoder, stop)

    windows = overlapped(encode, batched(chunks, window), threads=1, ahead=AHEAD, stop=stop, name="embed")
    with closing(windows):
        for done in windows:
            yield from done


def _embed_window(batch: Sequence[ExpandedChunk], encoder: Encoder, stop: threading.Event) -> list[EmbeddedChunk]:
    texts = [expanded.chunk.indexed_text for expanded in batch]
    questions = [question for expanded in batch for question in expanded.questions]
    vectors = _encode([*texts, *questions], encoder, stop)
    if vectors is None:
        return []
    embedded = []
    start = len(batch)
    for expanded, vector in zip(batch, vectors[: len(batch)], strict=True):
        end = start + len(expanded.questions)
        embedded.append(EmbeddedChunk(expanded, vector, vectors[start:end]))
        start = end
    return embedded


def _encode(texts: Sequence[str], encoder: Encoder, stop: threading.Event) -> Vector | None:
    """Encode texts of like length together, a slice at a time; None where nobody waits for the vectors any more."""
    vectors = np.empty((len(texts), encoder.dimension), np.float32)
    order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
    for start in range(0, len(order), SLICE):
        if stop.is_set():
            return None
        places = order[start : start + SLICE]
        vectors[places] = encoder.encode_documents([texts[place] for place in places])
    return vectors
