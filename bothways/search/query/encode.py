"""Questions into vectors within a deadline: a few threads encode, and no search waits for them forever.

A model's call cannot be interrupted. So it runs in a thread of its own while the search waits. When the search gives
up, the call runs on to its end; so there is a bound on how many calls run or wait at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np

from bothways.core.datatypes import Vector
from bothways.core.errors import EncodingTimeoutError
from bothways.core.lazy import Lazy
from bothways.core.results import Query
from bothways.models.protocols import Encoder
from bothways.search.options import SearchOptions

THREADS = 8
WAITING = 64
"""Calls that may wait for a thread; if there are more, the model is taken to be stuck."""


class QueryEncoder:
    """Encodes questions with the embedding model, which is loaded at the first of them. Thread-safe."""

    def __init__(self, load: Callable[[], Encoder], *, threads: int = THREADS, waiting: int = WAITING) -> None:
        self.load = Lazy(load)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="encode")
        self._free = threading.Semaphore(threads + waiting)

    def encode(self, query: Query, options: SearchOptions) -> Vector:
        """Encode a question, mixed with its pseudo-document where it has one.

        Raises `EncodingTimeoutError` where that takes too long; the time to load the model does not count.
        """
        encoder = self.load()
        if not self._free.acquire(blocking=False):
            raise EncodingTimeoutError(
                "The embedding model is busy with too many questions (BOTHWAYS_EMBEDDING_MODEL)."
            )
        call: Future[Vector] = self._pool.submit(partial(_encode, encoder, query, options.weight_pseudo_doc))
        call.add_done_callback(lambda _: self._free.release())
        try:
            return call.result(options.encode_timeout_ms / 1000)
        except TimeoutError as error:
            call.cancel()  # works as long as it has not begun
            raise EncodingTimeoutError(
                f"The embedding model did not encode the question within {options.encode_timeout_ms:.0f} ms."
            ) from error


def _encode(encoder: Encoder, query: Query, weight: float) -> Vector:
    vector: Vector = encoder.encode_queries([query.text])[0]
    if query.rewritten is None:
        return vector
    return mix(vector, encoder.encode_documents([query.rewritten])[0], weight=weight)


def mix(question: Vector, pseudo_doc: Vector, *, weight: float) -> Vector:
    """Return the weighted mean of two vectors, L2-normalised: `weight` 0 is the question alone, 1 the pseudo-document.

    The question stays in: a pseudo-document may be about something else (docs/decisions/query-rewriting.md).
    """
    mean = (1 - weight) * question + weight * pseudo_doc
    length = float(np.linalg.norm(mean))
    return (mean / length).astype(np.float32) if length > 1e-6 else question
