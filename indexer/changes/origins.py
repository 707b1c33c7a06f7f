"""Where the documents of a version come from, and what becomes of those that a rebuild does not read.

A rebuild reads one path. Uploaded documents are nowhere but in the index, so they go over into the new version: as they
are stored, vectors and questions included, or encoded anew from their stored texts where the model or the text analysis
is another one. What was indexed from other folders can be read from there again; to leave it out takes a person's word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import structlog
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from bothways.core.batches import batched
from bothways.core.collections.collection import from_mapping
from bothways.core.datatypes import Chunk, ExpandedChunk
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.elastic.vectors import from_stored
from bothways.core.errors import UsageError
from bothways.indexer.bulk import bulk, delete_actions, to_action
from bothways.indexer.changes.differences import SeenChunks
from bothways.indexer.changes.gone import gone
from bothways.indexer.changes.reuse import StoredText, copy_action
from bothways.indexer.embed import embed
from bothways.indexer.parts import UPLOADED, Parts
from bothways.indexer.report import JobReport

log = structlog.get_logger()

_STORED = ["chunk_id", "doc_id", "position", "title", "heading", "text", "source", "metadata", "content_hash"]
_LEARNT = ["generation", "text_sem", "questions"]
_AT_ONCE = 64
"""Chunks in one request: its answer holds all their vectors, as text."""
_IDS_AT_ONCE = 1000
_NAMED = 5
_IS_UPLOADED = {"term": {"origin": UPLOADED}}


def require_nothing_left_out(
    client: Elasticsearch, live: str, *, collection: str, path: str, only_sources: Sequence[str] | None, origin: str
) -> None:
    """Raise `UsageError` where a rebuild from a path would leave out documents that were indexed from elsewhere.

    `origin` is the folder that the rebuild speaks for, `only_sources` the files of it that it reads; None: all.
    """
    own: list[dict[str, Any]] = [{"term": {"origin": origin}}]
    if only_sources is None:
        own.append({"prefix": {"origin": f"{origin.rstrip('/')}/"}})
    else:
        own = [{"bool": {"filter": [*own, {"terms": {"source": list(only_sources)}}]}}]
    documents = {"documents": {"cardinality": {"field": "doc_id", "precision_threshold": 40_000}}}
    places = {"terms": {"field": "origin", "size": _NAMED, "missing": "a folder that was not noted"}, "aggs": documents}
    with elasticsearch_errors(f"looking where the documents of {collection} come from"):
        client.indices.refresh(index=live)
        response = client.search(
            index=live,
            size=0,
            query={"bool": {"must_not": [*own, _IS_UPLOADED]}},
            aggs={"places": places, **documents},
        )["aggregations"]
    count = response["documents"]["value"]
    if not count:
        return
    named = ", ".join(f"{place['key']} ({place['documents']['value']:,})" for place in response["places"]["buckets"])
    more = " and others" if response["places"]["sum_other_doc_count"] else ""
    raise UsageError(
        f"A rebuild of {collection!r} from {path} would leave out {count:,} documents that were "
        f"indexed from elsewhere: {named}{more}. Add --yes to build without them, or rebuild from a folder that holds "
        "all of them; what was uploaded stays in any case."
    )


def keep_uploads(
    parts: Parts, *, live: str, index: str, report: JobReport, progress: Callable[[JobReport], None]
) -> None:
    """Bring the uploaded documents of the live version into its rebuild; `report.kept` counts their chunks.

    A document that the rebuild has read itself, under the same id, stays as it was read. A rebuild that was cut off and
    goes on has the same uploads in the end as the live version has now.
    """
    as_they_are = _has_same_parts(parts, live)
    with SeenChunks() as seen, elasticsearch_errors("bringing the uploaded documents over"):
        query = {"query": _IS_UPLOADED, "_source": [*_STORED, *_LEARNT]}
        for hits in batched(scan(parts.client, index=live, query=query, size=_AT_ONCE), _AT_ONCE):
            rows = _not_read_again(parts.client, index, [hit["_source"] for hit in hits])
            report.kept += sum(seen.add(row["chunk_id"]) for row in rows)
            missing = _not_there(parts.client, index, rows)
            sent = bulk(parts.client, _actions(missing, parts, index, as_they_are=as_they_are))
            report.failures.extend(sent.failures)
            progress(report)
        stale = gone(
            parts.client,
            index=index,
            origin=UPLOADED,
            only_sources=None,
            adopted=(),
            seen=seen,
            keep=lambda _: False,
        )
        report.failures.extend(bulk(parts.client, delete_actions(stale, index=index)).failures)
        parts.client.indices.refresh(index=index)
    if report.kept:
        log.info("uploads_kept", index=index, chunks=report.kept, encoded_anew=not as_they_are)


def uploads_missing_in(client: Elasticsearch, live: str | None, *, of: str) -> int:
    """Count the uploaded documents of a version that the live one does not have."""
    missing = 0
    with elasticsearch_errors(f"looking for uploads in {of}"):
        client.indices.refresh(index=of)
        hits = scan(client, index=of, query={"query": _IS_UPLOADED, "_source": ["doc_id"]}, size=_IDS_AT_ONCE)
        for batch in batched({hit["_source"]["doc_id"] for hit in hits}, _IDS_AT_ONCE):
            missing += len(batch) - (len(_documents(client, live, batch)) if live else 0)
    return missing


def _documents(client: Elasticsearch, index: str, doc_ids: Sequence[str], **more: Any) -> set[str]:  # noqa: ANN401
    """Return those of the documents that an index has."""
    query = {"bool": {"filter": [{"terms": {"doc_id": list(doc_ids)}}], **more}}
    response = client.search(
        index=index, query=query, collapse={"field": "doc_id"}, size=len(doc_ids), source_includes=["doc_id"]
    )
    return {hit["_source"]["doc_id"] for hit in response["hits"]["hits"]}


def _has_same_parts(parts: Parts, live: str) -> bool:
    """Return whether vectors and words of a version are as the parts in use would make them."""
    with elasticsearch_errors(f"reading the mapping of {live}"):
        version = from_mapping("", live, parts.client.indices.get_mapping(index=live)[live]["mappings"])
    return (version.embedding_model, version.analyzer) == (parts.embedding_model, parts.segmenter.name)


def _not_read_again(client: Elasticsearch, index: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out chunks of documents that the rebuild has read from its own path."""
    doc_ids = sorted({row["doc_id"] for row in rows})
    read = _documents(client, index, doc_ids, must_not=[_IS_UPLOADED])
    return [row for row in rows if row["doc_id"] not in read]


def _not_there(client: Elasticsearch, index: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out chunks that the new version has already as they are, from before it was cut off."""
    if not rows:
        return []
    fields = ["content_hash", "generation"]
    response = client.mget(index=index, ids=[row["chunk_id"] for row in rows], source_includes=fields)
    there = {doc["_id"]: doc["_source"] for doc in response["docs"] if doc.get("found")}
    return [row for row in rows if there.get(row["chunk_id"]) != {field: row[field] for field in fields}]


def _actions(
    rows: Sequence[Mapping[str, Any]], parts: Parts, index: str, *, as_they_are: bool
) -> Iterator[dict[str, Any]]:
    packed, segmenter = parts.server.takes_packed_vectors, parts.segmenter
    if not rows:
        return
    if as_they_are and all("text_sem" in row for row in rows):
        for row in rows:
            stored = StoredText(
                chunk=_chunk(row),
                generation=row["generation"],
                vector=from_stored(row["text_sem"]),
                questions=tuple(row["questions"]),
            )
            yield copy_action(stored, index=index, origin=UPLOADED, segmenter=segmenter, packed=packed)
        return
    expanded = (
        ExpandedChunk(_chunk(row), tuple(question["text"] for question in row["questions"]), row["generation"])
        for row in rows
    )
    for embedded in embed(expanded, parts.encoder()):
        yield to_action(embedded, index=index, origin=UPLOADED, segmenter=segmenter, packed=packed)


def _chunk(row: Mapping[str, Any]) -> Chunk:
    return Chunk(
        chunk_id=row["chunk_id"],
        doc_id=row["doc_id"],
        position=row["position"],
        title=row["title"],
        heading=row.get("heading", ""),
        text=row["text"],
        source=row["source"],
        metadata=row.get("metadata", {}),
    )
