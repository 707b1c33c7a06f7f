"""Chunks into Elasticsearch: actions built without a client, several requests at once, every failed item kept.

The client's own `parallel_bulk` is not used: it does not send rejected items (429) again, and after an error it goes
on pulling and sending all actions that are left.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import structlog
from elasticsearch import ApiError, Elasticsearch
from elasticsearch.helpers import streaming_bulk

from bothways.core.analysis import Segmenter
from bothways.core.batches import batched
from bothways.core.datatypes import EmbeddedChunk, Failure
from bothways.core.elastic.client import blocked_by, elasticsearch_errors, of_answer
from bothways.core.elastic.vectors import to_stored
from bothways.core.errors import ElasticsearchUnavailableError, IndexReadOnlyError
from bothways.indexer.workers.overlap import overlapped

log = structlog.get_logger()

REQUESTS = 3
"""`_bulk` requests under way at once: the server builds vector graphs in as many threads, and never waits for us."""
MAX_BYTES = 8 * 1024 * 1024
"""Largest `_bulk` request: far below the server's limit (100 MB), large enough that round trips do not matter."""
RETRIES = 5
RETRIES_OF_ALL = 12
"""So often a batch is sent again of which the server rejects all (429): no item is at fault, and an overload takes
minutes to pass. Some three minutes; then a job waits as for a server that is away (indexer/jobs/outage.py)."""
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
_SAID_AT = 2
"""The retry before which it is said that items are rejected: single rejections are usual and pass in a second."""
RETRIED = frozenset({429, 502, 503})
"""What a server answers that has no room just now: the item is sent again, after a wait that doubles each time."""


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
        "text_hash": chunk.text_hash,
        "generation": expanded.generation,
        "metadata": dict(chunk.metadata),
        "text_kw": segmenter.segment(chunk.indexed_text),
        "text_sem": to_stored(embedded.vector, packed=packed),
        "question_count": len(expanded.questions),
        "questions": [
            {
                "text": question,
                "text_kw": segmenter.segment(question),
                "text_sem": to_stored(vector, packed=packed),
                "tag": "syn",
                "generation": expanded.generation,
            }
            for question, vector in zip(expanded.questions, embedded.question_vectors, strict=True)
        ],
    }


def bulk(
    client: Elasticsearch,
    actions: Iterable[dict[str, Any]],
    *,
    chunk_size: int = 128,
    on_ok: Callable[[str], None] = lambda _: None,
    progress: Callable[[], None] = lambda: None,
) -> BulkReport:
    """Send actions lazily, in any order; rejected ones (429) are sent again with back-off, others become failures.

    What is rejected for ever becomes a failure, too, where the server takes others; where it takes none it counts as
    gone. Raises `IndexReadOnlyError` at once where the index takes no writes.

    `actions` are pulled, and `progress` is called after each request, in the caller's thread; `on_ok` is called with
    each item that the server took, one at a time but from any thread, so that it has counted exactly that even when
    this function raises. Raises `ElasticsearchUnavailableError` when the server is gone: requests under way are waited
    for, what was sent stays, the rest is for the next run.
    """
    report = BulkReport()
    one_at_a_time, stop = threading.Lock(), threading.Event()

    def send(batch: Sequence[dict[str, Any]]) -> None:
        for is_ok, result in _send(client, batch, stop):
            with one_at_a_time:
                if is_ok:
                    report.ok += 1
                    on_ok(str(result["_id"]))
                else:
                    report.failures.append(Failure(stage="bulk", item=str(result.get("_id")), reason=_why(result)))

    sent = overlapped(send, batched(actions, chunk_size), threads=REQUESTS, ahead=REQUESTS + 1, stop=stop, name="bulk")
    with closing(sent):
        for _ in sent:
            progress()
    return report


def _send(
    client: Elasticsearch, actions: Sequence[dict[str, Any]], stop: threading.Event
) -> Iterator[tuple[bool, dict[str, Any]]]:
    """Send actions and give the server's answer to each, with whether it is as it should be.

    Once `stop` is set, rejected ones are not sent again, and have no answer.
    """
    wait_s = FIRST_WAIT_S
    took_some = False
    for attempt in range(RETRIES_OF_ALL + 1):
        rejected = []
        for action, (op, result) in zip(actions, _request(client, actions), strict=True):
            _raise_if_blocked(result)
            status = result.get("status")
            if status in RETRIED and attempt < (RETRIES_OF_ALL if status == 429 and not took_some else RETRIES):
                rejected.append(action)
                continue
            _raise_if_failed(result, is_overloaded=status in RETRIED and not took_some)
            took_some = True
            yield status in range(200, 300) or (status == 404 and op == "delete"), result
        if attempt == _SAID_AT and rejected:
            log.warning("chunks_rejected", count=len(rejected), reason=_why(result), instead="they are sent again")
        if not rejected or stop.wait(wait_s):
            return
        actions, wait_s = rejected, min(2 * wait_s, LONGEST_WAIT_S)


def _raise_if_blocked(result: dict[str, Any]) -> None:
    """Raise `IndexReadOnlyError` where the index takes no writes: sending it again would be no use."""
    error = result.get("error")
    if isinstance(error, dict) and error.get("type") == "cluster_block_exception":
        blocked = blocked_by(int(result.get("status") or 0), _why(result))
        if blocked is not None:
            raise blocked
    failed = result.get("exception")
    if isinstance(failed, ApiError):
        error = of_answer(failed, "sending chunks")
        if isinstance(error, IndexReadOnlyError):
            raise error from failed


def _raise_if_failed(result: dict[str, Any], *, is_overloaded: bool) -> None:
    """Raise what ended a whole request, and `ElasticsearchUnavailableError` for a server that takes nothing at all."""
    failed = result.get("exception")
    if isinstance(failed, Exception):
        with elasticsearch_errors("sending chunks"):
            raise failed
    if is_overloaded:
        raise ElasticsearchUnavailableError(
            f"Elasticsearch accepts no chunks ({_why(result)}): it is overloaded, or shards are missing. "
            "Run the same command again later; what is indexed stays and is not done twice."
        )


def _request(client: Elasticsearch, actions: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Send actions in one request, or in several where they are large; gives operation and answer, in order."""
    with elasticsearch_errors("sending chunks"):
        for _, item in streaming_bulk(
            client,
            actions,
            chunk_size=len(actions),
            max_chunk_bytes=MAX_BYTES,
            raise_on_error=False,
            raise_on_exception=False,
        ):
            yield from item.items()


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
