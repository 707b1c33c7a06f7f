"""Judged queries in: BEIR folders and JSON lines with gold by metadata, both turned into TREC-like qrels.

The unit of judgement is the document (an article, a page, a BEIR record): a document ranks where its best chunk does.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from core.collection import Collection
from core.elastic import elasticsearch_errors
from core.errors import EvaluationError

NOT_COMPARED = {"source_path"}
"""Keys of `gold` that name a file on somebody else's disk."""
PLAIN = {"source", "doc_id"}
"""Keys of `gold` that are fields of the chunk itself."""


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A question with what answers it: judged document ids (`relevant`), or metadata that they have (`gold`)."""

    query_id: str
    text: str
    tag: str = ""
    relevant: Mapping[str, int] = field(default_factory=dict)
    gold: Mapping[str, str] = field(default_factory=dict)


def load_queries(path: Path, qrels: Path | None = None) -> list[JudgedQuery]:
    """Read judged queries; raises `EvaluationError` naming file and line for whatever cannot be used.

    With `qrels`, or with a `qrels.tsv` beside a BEIR file, judgements come from there and queries without any are
    left out, as BEIR does. Else each line must have its `gold`.
    """
    if path.is_dir():
        path = path / "queries.jsonl"
    beside = path.with_name("qrels.tsv")
    rows = list(_json_lines(path))
    if qrels is None and rows and "gold" not in rows[0][1] and beside.exists():
        qrels = beside
    if qrels is None:
        return _distinct(path, [_by_metadata(row, f"{path}, line {number}", number) for number, row in rows])
    judged = load_qrels(qrels)
    queries = _distinct(path, [_beir(row, f"{path}, line {number}", judged) for number, row in rows])
    kept = [query for query in queries if query.relevant]
    if not kept:
        raise EvaluationError(f"None of the {len(queries)} queries of {path} is judged in {qrels}.")
    return kept


def _distinct(path: Path, queries: list[JudgedQuery]) -> list[JudgedQuery]:
    """Refuse two queries of one id: their judgements would be mixed."""
    twice = [query_id for query_id, times in Counter(query.query_id for query in queries).items() if times > 1]
    if twice:
        raise EvaluationError(f"{path}: more than one query has the id {twice[0]!r}.")
    return queries


def load_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Read judgements, `{query: {document: relevance}}`, from BEIR's three columns or TREC's four."""
    judged: dict[str, dict[str, int]] = {}
    for number, line in _lines(path):
        columns = line.split()
        if number == 1 and not columns[-1].lstrip("-").isdigit():
            continue
        try:
            query_id, document, relevance = columns if len(columns) == 3 else (columns[0], columns[2], columns[3])
            judged.setdefault(query_id, {})[document] = int(relevance)
        except (IndexError, ValueError) as error:
            raise EvaluationError(
                f"{path}, line {number}: not a judgement (query-id, corpus-id, score): {line[:80]!r}."
            ) from error
    if not judged:
        raise EvaluationError(f"{path} holds no judgement.")
    return judged


def resolve_gold(
    client: Elasticsearch, collection: Collection, queries: list[JudgedQuery]
) -> dict[str, dict[str, int]]:
    """Give the qrels of all queries.

    Gold by metadata is looked up: all documents that match all its keys. Judged documents stay judged when they are
    not in the index, as long as one of their query's is; a query whose gold is wholly missing gets no judgement.
    """
    judged = {document for query in queries for document in query.relevant}
    there = _present(client, collection.index, sorted(judged))
    qrels: dict[str, dict[str, int]] = {}
    for query in queries:
        if query.gold:
            qrels[query.query_id] = _documents(client, collection, query.gold)
        else:
            qrels[query.query_id] = dict(query.relevant) if there & set(query.relevant) else {}
    return qrels


def _present(client: Elasticsearch, index: str, documents: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(documents), 1000):
        batch = list(documents[start : start + 1000])
        found.update(_matching(client, index, {"terms": {"doc_id": batch}}, at_most=len(batch)))
    return found


def _documents(client: Elasticsearch, collection: Collection, gold: Mapping[str, str]) -> dict[str, int]:
    """Find the documents that match all keys: metadata, or `source` and `doc_id` where no metadata is called so."""
    clauses = [
        {"term": {key if key in PLAIN - collection.metadata_fields else f"metadata.{key}": value}}
        for key, value in gold.items()
    ]
    query = {"bool": {"filter": clauses}}
    return dict.fromkeys(_matching(client, collection.index, query, at_most=10_000), 1)


def _matching(client: Elasticsearch, index: str, query: dict[str, Any], *, at_most: int) -> list[str]:
    """List the ids of the documents that have a chunk which matches."""
    documents = {"documents": {"terms": {"field": "doc_id", "size": at_most}}}
    with elasticsearch_errors("looking up the judged documents"):
        found = client.search(index=index, size=0, query=query, aggs=documents)
    return [str(bucket["key"]) for bucket in found["aggregations"]["documents"]["buckets"]]


def _by_metadata(row: dict[str, Any], where: str, number: int) -> JudgedQuery:
    gold = row.get("gold")
    text = row.get("query") or row.get("text")
    if not isinstance(text, str) or not text.strip() or not isinstance(gold, dict):
        raise EvaluationError(f'{where}: needs a "query" and a "gold" object, or a file of judgements by --qrels.')
    compared = {str(key): str(value) for key, value in gold.items() if key not in NOT_COMPARED}
    if not compared:
        raise EvaluationError(f"{where}: the gold has no key that can be compared with metadata.")
    query_id = str(row.get("sample_id") or row.get("_id") or row.get("id") or number)
    return JudgedQuery(query_id, text, str(row.get("tag") or ""), gold=compared)


def _beir(row: dict[str, Any], where: str, judged: Mapping[str, Mapping[str, int]]) -> JudgedQuery:
    text = row.get("text") or row.get("query")
    if "_id" not in row or not isinstance(text, str) or not text.strip():
        raise EvaluationError(f'{where}: a BEIR query needs "_id" and "text".')
    query_id = str(row["_id"])
    return JudgedQuery(query_id, text, str(row.get("tag") or ""), relevant=judged.get(query_id, {}))


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    empty = True
    for number, line in _lines(path):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise EvaluationError(f"{path}, line {number}: not JSON ({error}).") from error
        if not isinstance(row, dict):
            raise EvaluationError(f"{path}, line {number}: not a JSON object.")
        empty = False
        yield number, row
    if empty:
        raise EvaluationError(f"{path} holds no query.")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.strip()
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}.") from error
