"""Chunks into Elasticsearch: actions built without a client, sent by count and bytes, every failed item kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from elasticsearch import Elasticsearch, helpers
from elasticsearch.helpers import streaming_bulk

from core.analysis import Segmenter
from core.datatypes import EmbeddedChunk, Failure, Vector
from core.elastic import elasticsearch_errors
from core.errors import ElasticsearchError

MAX_BYTES = 8 * 1024 * 1024
"""Largest `_bulk` request: far below the server's limit (100 MB), large enough that round trips do not matter."""


@dataclass(slots=True)
class BulkReport:
    """What became of the actions: how many the server took, and each that it did not take, with the reason."""

    ok: int = 0
    failures: list[Failure] = field(default_factory=list)


def to_action(
    embedded: EmbeddedChunk, *, index: str, origin: str, segmenter: Segmenter, packed: bool = True
) -> dict[str, Any]:
    """Build the `_bulk` action of one chunk. `packed` sends vectors as base64 text, a fifth of the JSON list."""
    expanded = embedded.expanded
    chunk = expanded.chunk
    as_json = _pack if packed else _as_list
    return {
        "_op_type": "index",
        "_index": index,
        "_id": chunk.chunk_id,
        "chunk_id": chunk.chunk_id,
        "doc_id": chunk.doc_id,
        "position": chunk.position,
        "title": chunk.title,
        "heading": chunk.heading,
        "text": chunk.text,
        "source": chunk.source,
        "origin": origin,
        "content_hash": chunk.content_hash,
        "generation": expanded.generation,
        "metadata": dict(chunk.metadata),
        "text_kw": segmenter.segment(chunk.indexed_text),
        "text_sem": as_json(embedded.vector),
        "questions": [
            {
                "text": question,
                "text_kw": segmenter.segment(question),
                "text_sem": as_json(vector),
                "tag": "syn",
                "generation": expanded.generation,
            }
            for question, vector in zip(expanded.questions, embedded.question_vectors, strict=True)
        ],
    }


def _pack(vector: Vector) -> str:
    return helpers.pack_dense_vector(vector)


def _as_list(vector: Vector) -> list[float]:
    return [float(value) for value in vector]


def bulk(
    client: Elasticsearch,
    actions: Iterable[dict[str, Any]],
    *,
    chunk_size: int = 256,
    on_ok: Callable[[str], None] = lambda _: None,
) -> BulkReport:
    """Send actions lazily; rejected ones (429) are sent again with back-off, others become failures in the report.

    Raises `ElasticsearchUnavailableError` when the server is gone: what was sent stays, the rest is for the next run.
    """
    report = BulkReport()
    with elasticsearch_errors("sending chunks"):
        for ok, item in streaming_bulk(
            client,
            actions,
            chunk_size=chunk_size,
            max_chunk_bytes=MAX_BYTES,
            raise_on_error=False,
            max_retries=5,
            initial_backoff=0.5,
            max_backoff=30,
            retry_on_status=(429, 502, 503),
        ):
            result = next(iter(item.values()))
            if ok or (result.get("status") == 404 and "delete" in item):
                report.ok += 1
                on_ok(str(result["_id"]))
            elif _is_blocked(result):
                raise ElasticsearchError(
                    f"Elasticsearch takes no more writes ({_why(result)}): most often its disk is full. Make room, "
                    "then run the same command again; what is indexed stays and is not done twice."
                )
            else:
                report.failures.append(Failure("bulk", str(result.get("_id")), _why(result)))
    return report


def _is_blocked(result: dict[str, Any]) -> bool:
    error = result.get("error")
    return isinstance(error, dict) and error.get("type") == "cluster_block_exception"


def _why(result: dict[str, Any]) -> str:
    error = result.get("error")
    if isinstance(error, dict):
        inner = error.get("caused_by")
        reasons: Sequence[object] = (error.get("reason"), inner.get("reason") if isinstance(inner, dict) else None)
        return "; ".join(str(text) for text in reasons if text)
    return str(error or result.get("status"))


def delete_actions(chunk_ids: Iterable[str], *, index: str) -> Iterator[dict[str, Any]]:
    """Build the `_bulk` actions that delete chunks."""
    return ({"_op_type": "delete", "_index": index, "_id": chunk_id} for chunk_id in chunk_ids)
