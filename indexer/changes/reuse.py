"""Texts that the index holds under another id: of a renamed file, or of a record that moved up or down in its file.

In: chunks that have to be written. Out: those whose text the index does not hold; the others are given to `take`,
with the vector and the questions of that text, so that nothing is encoded or asked twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from bothways.core.analysis import Segmenter
from bothways.core.batches import batched
from bothways.core.datatypes import Chunk, EmbeddedChunk, ExpandedChunk, Vector
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.elastic.vectors import from_stored, stored_again
from bothways.indexer.bulk import to_action
from bothways.indexer.doc2query.expand import LEARNT

WINDOW = 64
"""Chunks that are looked up in one request: its answer holds all their vectors, as text."""

_WANTED = ["text_hash", "title", "generation", "text_sem", "questions"]
"""Vectors have to be named: servers from 9.2 on leave them out of `_source` otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredText:
    """A chunk to be written, with what the index holds for its text: vector (d,), questions as they are stored."""

    chunk: Chunk
    generation: str
    vector: Vector
    questions: tuple[Mapping[str, Any], ...]


def without_stored_texts(
    chunks: Iterable[Chunk],
    client: Elasticsearch,
    *,
    index: str,
    generations: frozenset[str] | None,
    take: Callable[[list[StoredText]], None],
) -> Iterator[Chunk]:
    """Pass on the chunks whose text the index lacks, lazily and in order; give the others to `take` by the window.

    Of the texts only those count whose questions are of one of the `generations`; None: whatever they have. A chunk
    that was written before there was a `text_hash` is not recognised.
    """
    if not _has_hashes(client, index):
        yield from chunks
        return
    for window in batched(chunks, WINDOW):
        held = _held(client, index, window, generations)
        pairs = [(chunk, _of(chunk, held)) for chunk in window]
        stored = [_stored(chunk, source) for chunk, source in pairs if source is not None]
        if stored:
            take(stored)
        yield from (chunk for chunk, source in pairs if source is None)


def copy_action(
    stored: StoredText, *, index: str, origin: str, segmenter: Segmenter, packed: bool = True
) -> dict[str, Any]:
    """Build the `_bulk` action of a chunk whose text the index holds: vectors and questions are taken over."""
    expanded = ExpandedChunk(stored.chunk, (), stored.generation)
    embedded = EmbeddedChunk(expanded, stored.vector, stored.vector[np.newaxis][:0])
    action = to_action(embedded, index=index, origin=origin, segmenter=segmenter, packed=packed)
    action["questions"] = [_question(question, packed) for question in stored.questions]
    action["question_count"] = len(stored.questions)
    return action


def _question(question: Mapping[str, Any], packed: bool) -> dict[str, Any]:
    if "text_sem" not in question:
        return dict(question)
    return {**question, "text_sem": stored_again(question["text_sem"], packed=packed)}


def _has_hashes(client: Elasticsearch, index: str) -> bool:
    with elasticsearch_errors(f"reading the mapping of {index}"):
        response = client.indices.get_field_mapping(index=index, fields="text_hash")
    return bool(response[index]["mappings"])


def _held(
    client: Elasticsearch, index: str, chunks: Sequence[Chunk], generations: frozenset[str] | None
) -> dict[str, dict[str, Any]]:
    """Find one chunk of the index for each text, by its hash."""
    hashes = sorted({text_hash for chunk in chunks for text_hash in chunk.text_hashes})
    filters: list[dict[str, Any]] = [{"terms": {"text_hash": hashes}}, {"exists": {"field": "text_sem"}}]
    if generations is not None:
        learnt = [{"prefix": {"generation": f"{generation}{LEARNT}"}} for generation in sorted(generations)]
        filters.append({"bool": {"should": [{"terms": {"generation": sorted(generations)}}, *learnt]}})
    with elasticsearch_errors("looking for texts that the index holds"):
        response = client.search(
            index=index,
            query={"bool": {"filter": filters}},
            collapse={"field": "text_hash"},
            size=len(hashes),
            source_includes=_WANTED,
            track_total_hits=False,
        )
    return {hit["_source"]["text_hash"]: hit["_source"] for hit in response["hits"]["hits"]}


def _of(chunk: Chunk, held: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Choose what is held for a chunk: its text under its very title, else a text that was named after its file too."""
    exact, untitled = (held.get(text_hash) for text_hash in chunk.text_hashes)
    if exact is not None:
        return exact
    if untitled is not None and (chunk.is_named_after_file or untitled["title"] == chunk.title):
        return untitled
    return None


def _stored(chunk: Chunk, source: Mapping[str, Any]) -> StoredText:
    return StoredText(
        chunk=chunk,
        generation=source["generation"],
        vector=from_stored(source["text_sem"]),
        questions=tuple(source["questions"]),
    )
