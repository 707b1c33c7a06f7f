"""Judged documents in the index: which of them exist, with their titles and texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from bothways.core.collections.collection import Collection
from bothways.core.elastic.client import elasticsearch_errors
from bothways.evaluation.judged.queries import JudgedQuery

_PLAIN = {"source", "doc_id"}
"""Keys of `gold` that are fields of the chunk itself."""
_SHOWN_CHARS = 200
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldDocument:
    """One judged document: `in_index` tells whether it can be found at all; title and text are for people."""

    doc_id: str
    relevance: int
    in_index: bool
    title: str = ""
    text: str = ""


def relevance_of(gold: Iterable[GoldDocument]) -> dict[str, int]:
    """Return one query's judgements as measures and TREC's files take them: `{document: relevance}`."""
    return {document.doc_id: document.relevance for document in gold}


def resolve_gold(
    client: Elasticsearch, collection: Collection, queries: Sequence[JudgedQuery]
) -> dict[str, list[GoldDocument]]:
    """Look up the judged documents of some queries (a batch: memory and requests grow with it).

    Gold by metadata means all documents that match all its keys. What is not in the index stays judged, so that it
    costs recall; gold by metadata without a match counts as one document that cannot be found.
    """
    matching = {q.query_id: _documents(client, collection, q.gold) for q in queries if q.gold}
    wanted = {document for query in queries for document in query.relevant}.union(*matching.values())
    known = _first_chunks(client, collection.index, sorted(wanted))
    gold: dict[str, list[GoldDocument]] = {}
    for query in queries:
        relevant = dict.fromkeys(matching[query.query_id], 1) if query.gold else query.relevant
        documents = [
            GoldDocument(doc_id=doc_id, relevance=relevance, in_index=doc_id in known, title=title, text=text)
            for doc_id, relevance in relevant.items()
            for title, text in [known.get(doc_id, ("", ""))]
        ]
        gold[query.query_id] = documents or [GoldDocument(doc_id=_described(query.gold), relevance=1, in_index=False)]
    return gold


def _described(gold: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in gold.items())


def _documents(client: Elasticsearch, collection: Collection, gold: Mapping[str, str]) -> list[str]:
    """Find the documents that match all keys: metadata, or `source` and `doc_id` where no metadata is called so."""
    clauses = [
        {"term": {key if key in _PLAIN - collection.metadata_fields else f"metadata.{key}": value}}
        for key, value in gold.items()
    ]
    return list(_search(client, collection.index, {"bool": {"filter": clauses}}, at_most=10_000))


def _first_chunks(client: Elasticsearch, index: str, documents: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return title and beginning of each document that exists."""
    found: dict[str, tuple[str, str]] = {}
    for start in range(0, len(documents), _AT_ONCE):
        batch = documents[start : start + _AT_ONCE]
        found.update(_search(client, index, {"terms": {"doc_id": batch}}, at_most=len(batch)))
    return found


def _search(client: Elasticsearch, index: str, query: Mapping[str, Any], *, at_most: int) -> dict[str, tuple[str, str]]:
    with elasticsearch_errors("looking up the judged documents"):
        found = client.search(
            index=index,
            query={"bool": {"filter": [query]}},
            collapse={"field": "doc_id"},
            sort=[{"doc_id": "asc"}, {"position": "asc"}],
            size=at_most,
            source={"includes": ["doc_id", "title", "text"]},
        )
    return {
        hit["_source"]["doc_id"]: (hit["_source"]["title"], hit["_source"]["text"][:_SHOWN_CHARS])
        for hit in found["hits"]["hits"]
    }
