"""What the index already knows: which chunks need no work, and which are gone from the source."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from elasticsearch import Elasticsearch

from bothways.core.batches import batched
from bothways.core.datatypes import Chunk
from bothways.core.elastic.client import elasticsearch_errors
from bothways.indexer.doc2query.expand import REFUSED, before_learning

WINDOW = 256
"""Chunks whose hashes are asked for in one request."""


class SeenChunks:
    """The chunk ids that a run has met, in a temporary file: memory stays flat however large the corpus is."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bothways-")
        self._database = sqlite3.connect(Path(self._folder.name) / "seen.sqlite", check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("CREATE TABLE seen (id TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, chunk_id: str) -> bool:
        """Remember an id; False when it was there already."""
        return self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (chunk_id,)).rowcount == 1

    def __contains__(self, chunk_id: str) -> bool:
        with closing(self._database.execute("SELECT 1 FROM seen WHERE id = ?", (chunk_id,))) as rows:
            return rows.fetchone() is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._database.close()
        self._folder.cleanup()


@dataclass(slots=True, kw_only=True)
class Differences:
    """What comparing a run's chunks with the index has counted so far.

    `copied` chunks were written with what the index held for their text. `moved` are unchanged chunks, and `adopted`
    all documents, that the index has from another folder; `overwritten` are the sources among them whose content is
    another now.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused_before: int = 0
    copied: int = 0
    moved: list[str] = field(default_factory=list)
    adopted: set[str] = field(default_factory=set)
    overwritten: set[str] = field(default_factory=set)


def only_changed(
    chunks: Iterable[Chunk],
    client: Elasticsearch,
    *,
    index: str | None,
    origin: str,
    generations: frozenset[str] | None,
    differences: Differences,
) -> Iterator[Chunk]:
    """Pass on the chunks that the index lacks or holds with another content, counting the others.

    A chunk is also passed on when its questions are of none of the `generations`; None means that questions are not
    asked for, and then those that are there stay. With no `index`, all chunks are new.
    """
    for window in batched(chunks, WINDOW):
        known = _known(client, index, window) if index else {}
        for chunk in window:
            source = known.get(chunk.chunk_id)
            is_elsewhere = source is not None and source["origin"] != origin
            if is_elsewhere:
                differences.adopted.add(chunk.doc_id)
            if source is None:
                differences.new += 1
                yield chunk
            elif source["content_hash"] != chunk.content_hash:
                differences.changed += 1
                if is_elsewhere:
                    differences.overwritten.add(chunk.source)
                yield chunk
            elif generations is not None and before_learning(source["generation"]) not in generations:
                differences.changed += 1
                yield chunk
            else:
                differences.unchanged += 1
                differences.refused_before += source["generation"].startswith(REFUSED)
                if is_elsewhere:
                    differences.moved.append(chunk.chunk_id)


def _known(client: Elasticsearch, index: str, chunks: Sequence[Chunk]) -> dict[str, dict[str, Any]]:
    fields = ["content_hash", "generation", "origin"]
    with elasticsearch_errors("comparing chunks with the index"):
        response = client.mget(index=index, ids=[chunk.chunk_id for chunk in chunks], source_includes=fields)
    return {doc["_id"]: doc["_source"] for doc in response["docs"] if doc.get("found")}
