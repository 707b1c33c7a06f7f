"""The chunks of a job that several workers share, a shard at a time: documents in Elasticsearch, taken under leases.

A shard carries its chunks, so that a worker needs nothing but Elasticsearch and the models: not the folder that the job
reads. Whoever holds a shard's lease works on it; a worker that dies is found out as any holder of a lease is, and its
shard is free again.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from elasticsearch import Elasticsearch, NotFoundError

from bothways.core.datatypes import Chunk
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.elastic.lease import Lease, Leases
from bothways.core.elastic.mappings import create_from
from bothways.core.errors import LeaseHeldError
from bothways.indexer.write import Target

INDEX = "bothways-shards"
SIZE = 128
"""Chunks in a shard: what a worker that dies leaves to be looked at again, and one window of the encoder."""
CLEAR_ATTEMPTS = 10
"""How often the shards of a job are deleted while workers still change some of them; each ends one shard."""
LOOKED_AT = 16
"""Shards that are tried in one look for a free one."""

Questions = Literal["none", "model"] | str
"""Who writes the questions: nobody, the language model that is set, or the file of this path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a worker does with the chunks of a job, and with which models: other models would mix two indexes.

    `generation` is "" where nobody writes questions, or the model's name cannot be asked for at the moment.
    """

    collection: str
    target: Target
    embedding_model: str
    analyzer: str
    questions: Questions
    generation: str

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        fields = asdict(self)
        generations = self.target.generations
        fields["target"]["generations"] = None if generations is None else sorted(generations)
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Read what `as_json` gave."""
        target = dict(fields["target"])
        if target["generations"] is not None:
            target["generations"] = frozenset(target["generations"])
        return cls(**{**fields, "target": Target(**target)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Some chunks of a job, in the order in which the job read them. `number` counts from 0."""

    job: str
    number: int
    order: Order
    chunks: Sequence[Chunk]

    @property
    def id(self) -> str:
        """What it is stored, and its lease is held, under."""
        return _id(self.job, self.number)


class Shards:
    """The shards of all jobs of one Elasticsearch. Every method may raise `ElasticsearchError`."""

    def __init__(self, client: Elasticsearch, leases: Leases, *, index: str = INDEX) -> None:
        self._client = client
        self._leases = leases
        self._index = index

    def add(self, shard: Shard) -> None:
        """Offer a shard to all workers."""
        create_from(self._client, "shards.json", self._index)
        document = {
            "job": shard.job,
            "collection": shard.order.collection,
            "number": shard.number,
            "state": "waiting",
            "order": shard.order.as_json(),
            "chunks": _packed(shard.chunks),
        }
        with elasticsearch_errors("sharing the job"):
            self._client.index(index=self._index, id=shard.id, document=document, refresh=True)

    @contextmanager
    def claimed(self, job: str, number: int | None = None) -> Iterator[tuple[Shard, Lease] | None]:
        """Hold a free shard of a job, the first one or one by number, for the length of a `with`.

        None where there is none at the moment.
        """
        numbers = self._numbers(job, "waiting", most=LOOKED_AT) if number is None else [number]
        for number in numbers:
            try:
                lease = self._leases.acquire(f"shard {_id(job, number)}", note=job, watch=False)
            except LeaseHeldError:
                continue
            with lease.kept():
                # The list may be older than what another worker has done meanwhile.
                shard = self._read(job, number)
                if shard is not None:
                    yield shard, lease
                    return
        yield None

    def is_waiting(self, job: str, number: int) -> bool:
        """Return whether a shard is still to be done."""
        return self._read(job, number) is not None

    def done(self, shard: Shard, written: Mapping[str, Any]) -> None:
        """Mark a shard as done: its chunks are in the index. Does nothing where the job has ended meanwhile."""
        with elasticsearch_errors("sharing the job"):
            try:
                self._client.update(
                    index=self._index,
                    id=shard.id,
                    doc={"state": "done", "written": dict(written), "chunks": None},
                    refresh=True,
                )
            except NotFoundError:
                return

    def collect(self, job: str) -> list[dict[str, Any]]:
        """Return what was written for each shard that is done, once, and remove it."""
        shares = []
        for number in self._numbers(job, "done", most=1000):
            with elasticsearch_errors("collecting what the workers did"):
                response = self._client.get(index=self._index, id=_id(job, number), source_includes=["written"])
                shares.append(response["_source"]["written"])
                self._client.delete(index=self._index, id=_id(job, number), refresh=True)
        return shares

    def clear(self, *, job: str = "", collection: str = "") -> None:
        """Remove the shards of a job, or of all jobs on a collection that nobody but the caller writes now."""
        query = {"term": {"job": job}} if job else {"term": {"collection": collection}}
        if collection:
            with elasticsearch_errors("looking for shards of jobs that died"):
                response = self._client.search(
                    index=self._index, query=query, size=1000, source=False, ignore_unavailable=True
                )
            for hit in response["hits"]["hits"]:
                self._leases.forget(f"shard {hit['_id']}")
        with elasticsearch_errors("clearing the shards of a job"):
            # A worker that ends its shard at this moment changes it under the deletion, which then leaves it there.
            for _ in range(CLEAR_ATTEMPTS):
                response = self._client.delete_by_query(
                    index=self._index, query=query, conflicts="proceed", refresh=True, ignore_unavailable=True
                )
                if not response.get("version_conflicts"):
                    return

    def _numbers(self, job: str, state: str, *, most: int) -> list[int]:
        query = {"bool": {"filter": [{"term": {"job": job}}, {"term": {"state": state}}]}}
        with elasticsearch_errors("looking for shards of the job"):
            response = self._client.search(
                index=self._index,
                query=query,
                sort=["number"],
                size=most,
                source_includes=["number"],
                ignore_unavailable=True,
            )
        return [hit["_source"]["number"] for hit in response["hits"]["hits"]]

    def _read(self, job: str, number: int) -> Shard | None:
        with elasticsearch_errors("reading a shard of the job"):
            try:
                fields = self._client.get(index=self._index, id=_id(job, number))["_source"]
            except NotFoundError:
                return None
        if fields["state"] != "waiting":
            return None
        return Shard(job=job, number=number, order=Order.from_json(fields["order"]), chunks=_unpacked(fields["chunks"]))


def _id(job: str, number: int) -> str:
    return f"{job} {number}"


def _packed(chunks: Sequence[Chunk]) -> str:
    lines = json.dumps([asdict(chunk) for chunk in chunks], ensure_ascii=False).encode()
    return base64.b64encode(zlib.compress(lines, 1)).decode()


def _unpacked(text: str) -> list[Chunk]:
    return [Chunk(**fields) for fields in json.loads(zlib.decompress(base64.b64decode(text)))]
