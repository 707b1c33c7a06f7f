"""The neighbours of hits: the chunks before and after, in the document and across the records of its file.

An article of a statute, a page of a PDF or a section of a Markdown file is a document of its own. Its neighbours in the
file are found by its id, which is made of file and place. A document with an id from elsewhere has no neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from elasticsearch import Elasticsearch

from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.results import Context, Hit, Neighbour
from bothways.core.text.document_id import document_id, find_place

_SHOWN = ["chunk_id", "doc_id", "position", "title", "text"]


@dataclass(frozen=True, slots=True)
class Beside:
    """The ids of the documents before and after a hit's own, the nearest first."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(slots=True)
class Found:
    """Chunks by document and position, and the last chunks of documents, in order."""

    chunks: dict[tuple[str, int], Neighbour] = field(default_factory=dict)
    last: dict[str, list[Neighbour]] = field(default_factory=dict)


def with_context(
    client: Elasticsearch, index: str, hits: Sequence[Hit], n: int, *, filters: Sequence[Mapping[str, Any]] = ()
) -> list[Hit]:
    """Return the hits with up to `n` chunks before and after each; one request for all of them.

    `filters` are those of the search, which neighbours must match, too. Raises `ElasticsearchError`.
    """
    if not hits:
        return []
    beside = [documents_beside(hit.doc_id, hit.source, n) for hit in hits]
    with elasticsearch_errors("reading the neighbours of hits"):
        answer = client.search(index=index, **context_body(hits, beside, n, filters=filters))
    found = _read(answer.body)
    return [replace(hit, context=_context(hit, docs, n, found)) for hit, docs in zip(hits, beside, strict=True)]


def documents_beside(doc_id: str, source: str, n: int) -> Beside:
    """Return the ids that the `n` records before and after a document have, whether there are such records or not."""
    place = find_place(doc_id, source)
    if place is None:
        return Beside()
    before, after = (
        tuple(document_id(source, at.page, at.record) for by in range(1, n + 1) if (at := place.moved(sign * by)))
        for sign in (-1, 1)
    )
    return Beside(before, after)


def context_body(
    hits: Sequence[Hit], beside: Sequence[Beside], n: int, *, filters: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return the request for all neighbours: known ids as hits, the last chunks of documents as aggregations."""
    ids: dict[str, None] = {}
    ends: dict[str, None] = {}
    for hit, docs in zip(hits, beside, strict=True):
        around = range(max(0, hit.position - n), hit.position + n + 1)
        ids.update(dict.fromkeys(f"{hit.doc_id}-{position}" for position in around if position != hit.position))
        ids.update(dict.fromkeys(f"{doc_id}-{position}" for doc_id in docs.after for position in range(n)))
        if hit.position < n:
            ends.update(dict.fromkeys(docs.before))
    known = {"terms": {"chunk_id": list(ids)}}
    before = {"terms": {"doc_id": list(ends)}}
    either = {"bool": {"should": [known, before], "minimum_should_match": 1}}
    last = {"top_hits": {"size": n, "sort": [{"position": "desc"}], "_source": _SHOWN}}
    by_document = {"terms": {"field": "doc_id", "size": max(1, len(ends))}, "aggs": {"last": last}}
    body: dict[str, Any] = {
        "query": {"bool": {"filter": [*filters, either]}},
        "post_filter": known,
        "size": len(ids),
        "sort": ["_doc"],
        "source": _SHOWN,
        "track_total_hits": False,
    }
    if ends:
        body["aggs"] = {"before": {"filter": before, "aggs": {"documents": by_document}}}
    return body


def _read(answer: Mapping[str, Any]) -> Found:
    found = Found()
    for hit in answer["hits"]["hits"]:
        chunk = _neighbour(hit["_source"])
        found.chunks[chunk.doc_id, chunk.position] = chunk
    buckets = answer.get("aggregations", {}).get("before", {}).get("documents", {}).get("buckets", ())
    for bucket in buckets:
        rows = [_neighbour(hit["_source"]) for hit in bucket["last"]["hits"]["hits"]]
        found.last[bucket["key"]] = sorted(rows, key=lambda chunk: chunk.position)
    return found


def _context(hit: Hit, beside: Beside, n: int, found: Found) -> Context:
    own = [found.chunks.get((hit.doc_id, position)) for position in range(max(0, hit.position - n), hit.position)]
    before = [chunk for chunk in own if chunk]
    for doc_id in beside.before:
        if len(before) < n:
            before = found.last.get(doc_id, []) + before
    later = [(hit.doc_id, hit.position + by) for by in range(1, n + 1)]
    later += [(doc_id, position) for doc_id in beside.after for position in range(n)]
    after = [found.chunks[key] for key in later if key in found.chunks]
    return Context(tuple(before[-n:]), tuple(after[:n]))


def _neighbour(source: Mapping[str, Any]) -> Neighbour:
    return Neighbour(
        chunk_id=source.get("chunk_id", ""),
        doc_id=source["doc_id"],
        position=source.get("position", 0),
        title=source.get("title", ""),
        text=source.get("text", ""),
    )
