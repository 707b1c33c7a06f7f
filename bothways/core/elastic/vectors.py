"""Vectors as JSON: what Elasticsearch takes and gives for a `dense_vector`, and the float32 that we compute with.

A vector (d,) goes out as base64 text of its floats in big-endian order, a fifth of the list of numbers, where the
server takes that (`Server.takes_packed_vectors`), else as the list. It comes back as it was sent, or as the list.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
from elasticsearch.helpers import pack_dense_vector

from bothways.core.datatypes import Vector

Stored = str | Sequence[float]
"""A vector as JSON has it."""


def to_stored(vector: Vector, *, packed: bool) -> str | list[float]:
    """Write a vector (d,) for a document; `packed`: as base64 text."""
    if packed:
        return pack_dense_vector(np.asarray(vector, dtype=np.float32))
    return [float(value) for value in vector]


def from_stored(stored: Stored) -> Vector:
    """Read a vector (d,) of a document, in either form."""
    if isinstance(stored, str):
        return np.frombuffer(base64.b64decode(stored), dtype=">f4").astype(np.float32)
    return np.asarray(stored, dtype=np.float32)


def stored_again(stored: Stored, *, packed: bool) -> Stored:
    """Return a stored vector in the form to store it again; packed text stays as it is."""
    return stored if packed and isinstance(stored, str) else to_stored(from_stored(stored), packed=packed)
