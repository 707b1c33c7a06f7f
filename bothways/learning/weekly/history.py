"""What was learnt and promoted, in Elasticsearch: what a rollback goes back to, and what is not learnt twice.

One document a run that promoted something, in `bothways-learning`; runs that did not stand in their reports alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from elasticsearch import Elasticsearch, NotFoundError

from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.elastic.mappings import create_from

INDEX = "bothways-learning"
_MOST = 1000

State = Literal["promoting", "promoted", "rolled back"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One run that promoted something.

    `from_index` served before, `to_index` since; they are equal where only a reranker was promoted, whose folders are
    `reranker_before` and `reranker` ("" for the settings' one). `pairs` are the ids of the questions of users that were
    acted on, by chunk.
    """

    run_id: str
    collection: str
    started_at: str
    state: State
    from_index: str
    to_index: str
    reranker_before: str = ""
    reranker: str = ""
    pairs: Mapping[str, Sequence[str]] = field(default_factory=dict)


class History:
    """The promotions of one Elasticsearch. Every method may raise `ElasticsearchError`."""

    def __init__(self, client: Elasticsearch, *, index: str = INDEX) -> None:
        self._client = client
        self._index = index

    def write(self, record: Record) -> Record:
        """Keep a record, over what is known of the same run; gives it back."""
        create_from(self._client, "learning.json", self._index)
        with elasticsearch_errors("keeping what was learnt"):
            self._client.index(index=self._index, id=record.run_id, document=asdict(record), refresh=True)
        return record

    def mark(self, record: Record, state: State) -> Record:
        """Change the state of a record."""
        return self.write(replace(record, state=state))

    def of(self, collection: str) -> list[Record]:
        """Return a collection's records, oldest first."""
        with elasticsearch_errors("reading what was learnt"):
            try:
                found = self._client.search(
                    index=self._index,
                    query={"term": {"collection": collection}},
                    sort=[{"started_at": "asc"}],
                    size=_MOST,
                )
            except NotFoundError:
                return []
        return [_record(hit["_source"]) for hit in found["hits"]["hits"]]


def used_pairs(records: Sequence[Record], *, live: str) -> set[tuple[str, str]]:
    """Return the (chunk, question id) that were acted on; what was rolled back is not learnt again by the same words.

    A promotion that was cut off before the alias moved has not happened.
    """
    return {
        (chunk, question)
        for record in records
        if record.state != "promoting" or record.to_index == live
        for chunk, questions in record.pairs.items()
        for question in questions
    }


def _record(row: Mapping[str, Any]) -> Record:
    return Record(**{name: row[name] for name in Record.__dataclass_fields__ if name in row})
