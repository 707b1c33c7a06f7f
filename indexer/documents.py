"""The documents of a collection: listed, shown with their chunks, and deleted so that nothing of them is response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from elasticsearch import Elasticsearch

from bothways.core.collections.collection import alias_of, open_collection
from bothways.core.collections.lease import alone_on
from bothways.core.collections.visibility import open_visible
from bothways.core.datatypes import Metadata
from bothways.core.elastic.client import elasticsearch_errors, require_writable
from bothways.core.errors import DocumentNotFoundError, ElasticsearchError
from bothways.indexer.versions.versions import versions

_SHOWN = ["chunk_id", "position", "title", "heading", "text", "source", "metadata", "generation", "questions.text"]
_PAGE = 1000
_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChunk:
    """One chunk as the index has it, without its vectors."""

    chunk_id: str
    position: int
    heading: str
    text: str
    questions: Sequence[str] = ()
    generation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """One document as the index has it; `chunks` are in order, and none where documents are only listed."""

    doc_id: str
    title: str
    source: str
    chunk_count: int
    metadata: Metadata = field(default_factory=dict)
    chunks: Sequence[StoredChunk] = ()


def list_documents(
    client: Elasticsearch, collection: str, *, size: int = 50, after: str | None = None
) -> list[StoredDocument]:
    """List `size` documents in the order of their ids, beginning behind the id `after`."""
    index = open_visible(client, collection).index
    pages: dict[str, Any] = {"sources": [{"doc_id": {"terms": {"field": "doc_id"}}}], "size": size}
    if after is not None:
        pages["after"] = {"doc_id": after}
    first = {"top_hits": {"size": 1, "sort": [{"position": "asc"}], "_source": ["title", "source", "metadata"]}}
    with elasticsearch_errors(f"listing the documents of {collection}"):
        aggregations = {"documents": {"composite": pages, "aggs": {"first": first}}}
        response = client.search(index=index, size=0, aggs=aggregations)
    rows = []
    for bucket in response["aggregations"]["documents"]["buckets"]:
        source = bucket["first"]["hits"]["hits"][0]["_source"]
        row = _document(bucket["key"]["doc_id"], source, int(bucket["doc_count"]))
        rows.append(row)
    return rows


def get_document(client: Elasticsearch, collection: str, doc_id: str) -> StoredDocument:
    """Return a document with all its chunks; raises `DocumentNotFoundError`."""
    index = open_visible(client, collection).index
    chunks: list[StoredChunk] = []
    source: dict[str, Any] = {}
    after: list[Any] | None = None
    with elasticsearch_errors(f"reading a document of {collection}"):
        while True:
            hits = client.search(
                index=index,
                query=_is(doc_id),
                sort=[{"position": "asc"}, {"chunk_id": "asc"}],
                size=_PAGE,
                source_includes=_SHOWN,
                search_after=after,
            )["hits"]["hits"]
            source = source or (hits[0]["_source"] if hits else {})
            chunks += [_chunk(hit["_source"]) for hit in hits]
            if len(hits) < _PAGE:
                break
            after = hits[-1]["sort"]
    if not chunks:
        raise _unknown(collection, doc_id)
    return _document(doc_id, source, len(chunks), chunks)


def delete_document(client: Elasticsearch, collection: str, doc_id: str) -> int:
    """Delete a document from every version of a collection, and look that nothing of it is left; returns its chunks.

    Raises `DocumentNotFoundError`, `LeaseHeldError` while a job writes the collection, and `ElasticsearchError` where
    somebody else, who knows no leases, writes the document faster than it is deleted.
    """
    open_collection(client, collection)
    with alone_on(client, collection) as lease, elasticsearch_errors(f"deleting a document of {collection}"):
        open_collection(client, collection)  # the job that held the lease may have deleted it
        every = ",".join(versions(client, alias_of(collection)))
        require_writable(client, every)
        deleted = 0
        for _ in range(_TRIES):
            lease.check()
            client.indices.refresh(index=every)
            done = client.delete_by_query(index=every, query=_is(doc_id), conflicts="proceed", refresh=True)
            deleted += int(done["deleted"])
            if client.count(index=every, query=_is(doc_id))["count"] == 0:
                break
        else:
            raise ElasticsearchError(
                f"The document {doc_id[:80]!r} is being written while it is deleted: end the job first, "
                f"see `bothways jobs --collection {collection}`."
            )
    if not deleted:
        raise _unknown(collection, doc_id)
    return deleted


def _is(doc_id: str) -> dict[str, Any]:
    return {"term": {"doc_id": doc_id}}


def _document(doc_id: str, source: dict[str, Any], count: int, chunks: Sequence[StoredChunk] = ()) -> StoredDocument:
    # Whoever puts chunks of their own into an index may leave fields out.
    metadata = source.get("metadata") if isinstance(source.get("metadata"), dict) else {}
    title, file = str(source.get("title") or ""), str(source.get("source") or "")
    return StoredDocument(
        doc_id=doc_id, title=title, source=file, chunk_count=count, metadata=metadata or {}, chunks=tuple(chunks)
    )


def _chunk(source: dict[str, Any]) -> StoredChunk:
    return StoredChunk(
        chunk_id=str(source.get("chunk_id") or ""),
        position=source.get("position") or 0,
        heading=source.get("heading", ""),
        text=str(source.get("text") or ""),
        questions=tuple(question["text"] for question in source.get("questions", ())),
        generation=source.get("generation", ""),
    )


def _unknown(collection: str, doc_id: str) -> DocumentNotFoundError:
    return DocumentNotFoundError(
        f"The collection {collection!r} has no document {doc_id[:80]!r}; see `bothways documents {collection}`."
    )
