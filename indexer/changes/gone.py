"""Chunks that are in the index and no longer in the source are removed; what cannot be read today stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import structlog
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from bothways.core.batches import batched
from bothways.core.elastic.client import elasticsearch_errors
from bothways.indexer.bulk import bulk, delete_actions
from bothways.indexer.changes.differences import WINDOW, Differences, SeenChunks
from bothways.indexer.report import JobReport

log = structlog.get_logger()


def remove_gone(
    client: Elasticsearch,
    *,
    index: str,
    origin: str,
    only_sources: Sequence[str] | None,
    seen: SeenChunks,
    differences: Differences,
    report: JobReport,
) -> None:
    """Remove chunks that a job has not met, note where moved ones now come from, and make all of it visible.

    The job speaks for the folder `origin`, or for `only_sources` in it. A job that read no document removes nothing:
    an empty folder is more often an unmounted one than the wish to delete everything.
    """
    with elasticsearch_errors("refreshing the index"):
        client.indices.refresh(index=index)
    if report.documents == 0:
        return
    stale = gone(
        client,
        index=index,
        origin=origin,
        only_sources=only_sources,
        adopted=differences.adopted,
        seen=seen,
        keep=_could_not_be_read(client, index, origin, seen, report),
    )
    removed = bulk(client, delete_actions(stale, index=index))
    report.removed = removed.ok
    moves = ({"_op_type": "update", "_index": index, "_id": i, "doc": {"origin": origin}} for i in differences.moved)
    moved = bulk(client, moves)
    report.failures.extend([*removed.failures, *moved.failures])
    if differences.overwritten:
        log.warning(
            "replaced_documents_of_another_folder",
            count=len(differences.overwritten),
            example=min(differences.overwritten),
            hint="documents are known by their path below the indexed folder; index the common parent to keep both",
        )
    with elasticsearch_errors("refreshing the index"):
        client.indices.refresh(index=index)


def _could_not_be_read(
    client: Elasticsearch, index: str, origin: str, seen: SeenChunks, report: JobReport
) -> Callable[[str], bool]:
    """Return what says of a source whether it failed or was skipped as a whole: then its chunks stay.

    A source is skipped as a whole where its reader is not installed any more. A file of which only a part was skipped
    was read.
    """
    unread = {failure.item for failure in report.failures if failure.stage == "read"}
    skipped = {item for item, _ in report.skipped}

    @cache
    def was_skipped(source: str) -> bool:
        if source not in skipped:
            return False
        query = {"query": {"bool": {"filter": [{"term": {"origin": origin}}, {"term": {"source": source}}]}}}
        with elasticsearch_errors("looking for what was skipped"):
            return all(hit["_id"] not in seen for hit in scan(client, index=index, query=query, _source=False))

    def could_not_be_read(source: str) -> bool:
        is_unread = any(item in {source, "."} or source.startswith(f"{item}/") for item in unread)
        return is_unread or was_skipped(source)

    return could_not_be_read


def gone(
    client: Elasticsearch,
    *,
    index: str,
    origin: str,
    only_sources: Sequence[str] | None,
    adopted: Iterable[str],
    seen: SeenChunks,
    keep: Callable[[str], bool],
) -> Iterator[str]:
    """Yield the ids of chunks that came from `origin` (of its `only_sources`, where named) and were not met now.

    `adopted` documents came from another folder and are this one's now: what was not met of them is gone too.
    `keep` spares the chunks of a source that could not be read: a file that fails today is not a deleted file.
    """
    mine: list[dict[str, Any]] = [{"term": {"origin": origin}}]
    if only_sources is not None:
        mine.append({"terms": {"source": list(only_sources)}})
    filters = [mine]
    filters += [[{"terms": {"doc_id": batch}}] for batch in batched(adopted, WINDOW)]
    for clauses in filters:
        query = {"query": {"bool": {"filter": clauses}}, "_source": ["source"]}
        with elasticsearch_errors("looking for chunks that are gone"):
            for hit in scan(client, index=index, query=query, size=1000):
                if hit["_id"] not in seen and not keep(hit["_source"]["source"]):
                    yield hit["_id"]
