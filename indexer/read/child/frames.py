"""Messages between a job and the process that reads its files, as pickles with their length in front.

Requests go one way. For each of them the other way come documents (or, cut already, the chunks of each), failures and
skips as they are found, then an end.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bothways.core.datatypes import CaseSection, ChunkerName

LENGTH = struct.Struct(">Q")

Kind = Literal["ready", "document", "chunks", "failure", "skip", "end"]

Event = tuple[Kind, Any]
"""What is said of a file: a `Document`, the `Chunk`s of one, a `Failure`, a skip as (source, reason), or None."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How documents are cut into chunks; see `bothways.indexer.chunk.chunk`."""

    chunker: ChunkerName
    max_chars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One file to read: as a `Source` has it, with what it may take. `relative` is the name that it goes by.

    Without `cut`, documents come back whole.
    """

    path: str
    relative: str
    max_file_mb: float
    case_sections: Sequence[CaseSection]
    timeout_s: float
    memory_mb: float
    cut: Cut | None = None


def framed(said: Request | Event) -> bytes:
    """Return the bytes to send."""
    data = pickle.dumps(said, pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(data)) + data


def take(buffer: bytearray) -> Any:  # noqa: ANN401 – a Request or an Event, by the direction
    """Remove the first frame from a buffer and return what it says; None while it is not all there."""
    if len(buffer) < LENGTH.size:
        return None
    end = LENGTH.size + LENGTH.unpack_from(buffer)[0]
    if len(buffer) < end:
        return None
    said = pickle.loads(bytes(memoryview(buffer)[LENGTH.size : end]))  # noqa: S301 – from a process of our own
    del buffer[:end]
    return said
