"""One way of building a vector index, tried on a copy of a collection's vectors: built, measured, always deleted.

In: a collection and a `Build`. Out: a `Built` for as long as the temporary index `bothways-study-{uuid}` lives. The
vectors of the chunks' own `text_sem` are streamed from the collection into it, so memory does not grow with the
collection; the vectors of the questions are no part of it. The index has one shard, no replica, and is force-merged
to one segment, which a live index is not: with several segments each is searched, which costs time and gains recall.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from elasticsearch import ApiError, Elasticsearch
from elasticsearch.helpers import scan

from bothways.core.collections.collection import Collection
from bothways.core.elastic.client import elasticsearch_errors, probe
from bothways.core.elastic.vectors import stored_again
from bothways.core.errors import ElasticsearchError
from bothways.indexer.bulk import bulk

FIELD = "text_sem"
PREFIX = "bothways-study-"
"""What temporary indices are called; after a `kill -9` one may be left, to be deleted by hand."""

SLOW_S = 6 * 3600.0
"""Seconds that a bulk request, a force-merge or an analysis of disk usage may take: graphs are built meanwhile."""

SERVER, FORMULA, STORE = "off-heap statistics of the server", "Elastic's formula", "size of the whole index"
DISK_USAGE = "disk usage of the field"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Build:
    """The `index_options` of a `dense_vector`. `m` and `ef_construction` belong to HNSW types; None: the server's."""

    type: str
    m: int | None = None
    ef_construction: int | None = None

    @property
    def index_options(self) -> dict[str, Any]:
        """What stands in the mapping."""
        options = {"type": self.type, "m": self.m, "ef_construction": self.ef_construction}
        return {key: value for key, value in options.items() if value is not None}

    @property
    def quantised(self) -> bool:
        """Whether searches use fewer bits than the vectors have, so that rescoring with the floats has a point."""
        return self.type.startswith(("int8", "int4", "bbq"))

    def __str__(self) -> str:
        options = (("m", self.m), ("ef_construction", self.ef_construction))
        return " ".join([self.type, *(f"{name}={value}" for name, value in options if value is not None)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A temporary index that stands: what was built, how long it took, and what it weighs.

    `disk_bytes` is all that the field has on disk, the raw floats included, which quantised types keep for rescoring.
    `memory_bytes` is what a search wants in the page cache: the quantised vectors (the raw ones where there are none)
    and the graph. `*_from` say which way each was found. `oversample` is the server's own rescoring, read from the
    mapping that it made of `index_options`: 0 is none.
    """

    build: Build
    index: str
    vectors: int
    seconds: float
    disk_bytes: int
    disk_from: str
    memory_bytes: int
    memory_from: str
    oversample: float


def builds_of(types: Sequence[str], ms: Sequence[int], ef_constructions: Sequence[int]) -> list[Build]:
    """Cross the types with all `m` and `ef_construction`, in that order; a type without a graph comes once."""
    builds = [
        Build(type_, m, ef) if "hnsw" in type_ else Build(type_)
        for type_ in types
        for m in ms
        for ef in ef_constructions
    ]
    return list(dict.fromkeys(builds))


@contextmanager
def built_index(client: Elasticsearch, collection: Collection, build: Build, progress: Progress) -> Iterator[Built]:
    """Build a temporary index for the length of the block; it is deleted whatever happens, Ctrl-C included.

    Raise `ElasticsearchError` with the server's reason for a build that it refuses.
    """
    index = PREFIX + uuid.uuid4().hex
    try:
        yield _build(client.options(request_timeout=SLOW_S), collection, build, index, progress)
    finally:
        with elasticsearch_errors(f"deleting the temporary index {index}"):
            client.indices.delete(index=index, ignore_unavailable=True)


def _build(client: Elasticsearch, collection: Collection, build: Build, index: str, progress: Progress) -> Built:
    started = perf_counter()
    with elasticsearch_errors(f"building {build}"):
        properties = client.indices.get_mapping(index=collection.index)[collection.index]["mappings"]["properties"]
        client.indices.create(
            index=index,
            settings={"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"},
            mappings={
                "dynamic": "strict",
                "_source": {"enabled": False},
                "properties": {FIELD: {**properties[FIELD], "index_options": build.index_options}},
            },
        )
        progress(f"{build}: loading the vectors")
        vectors = _load(client, collection.index, index)
        progress(f"{build}: merging {vectors} vectors into one segment")
        client.indices.refresh(index=index)
        client.indices.forcemerge(index=index, max_num_segments=1)
        client.indices.refresh(index=index)
        seconds = perf_counter() - started
        disk_bytes, disk_from = _disk(client, index)
        memory_bytes, memory_from = _memory(client, index, build, vectors, collection.dimension)
        oversample = _oversample(client, index)
    return Built(
        build=build,
        index=index,
        vectors=vectors,
        seconds=seconds,
        disk_bytes=disk_bytes,
        disk_from=disk_from,
        memory_bytes=memory_bytes,
        memory_from=memory_from,
        oversample=oversample,
    )


def _load(client: Elasticsearch, source: str, index: str) -> int:
    packed = probe(client, "the server").takes_packed_vectors
    with closing(_actions(client, source, index, packed)) as actions:
        report = bulk(client, actions)
    if report.failures:
        first = report.failures[0]
        raise ElasticsearchError(
            f"{len(report.failures)} vectors were refused; the first, {first.item}: {first.reason}"
        )
    return report.ok


def _actions(client: Elasticsearch, source: str, index: str, packed: bool) -> Generator[dict[str, Any]]:
    """Stream the vectors as bulk actions. Named in `_source` they come although servers from 9.2 leave them out."""
    query = {"query": {"exists": {"field": FIELD}}, "_source": [FIELD]}
    for hit in scan(client, index=source, query=query, size=500):
        vector = stored_again(hit["_source"][FIELD], packed=packed)
        yield {"_op_type": "index", "_index": index, "_id": hit["_id"], FIELD: vector}


def _disk(client: Elasticsearch, index: str) -> tuple[int, str]:
    """Ask for the field's own bytes, by the bare request: the client's method warns that it is a preview."""
    try:
        usage = client.perform_request(
            "POST",
            f"/{index}/_disk_usage",
            params={"run_expensive_tasks": "true", "flush": "true"},
            headers={"accept": "application/json"},
        )
        return int(usage.body[index]["fields"][FIELD]["knn_vectors_in_bytes"]), DISK_USAGE
    except (ApiError, KeyError):
        # A server may refuse the analysis, or give it another shape; all that the index holds are the vectors.
        stats = client.indices.stats(index=index, metric="store")
        return int(stats["indices"][index]["primaries"]["store"]["size_in_bytes"]), STORE


def _memory(client: Elasticsearch, index: str, build: Build, vectors: int, dimension: int) -> tuple[int, str]:
    primaries = client.indices.stats(index=index, metric="dense_vector")["indices"][index]["primaries"]
    off_heap = primaries.get("dense_vector", {}).get("off_heap")
    if off_heap:
        return resident(off_heap), SERVER
    return documented(build, vectors, dimension), FORMULA


def resident(off_heap: Mapping[str, Any]) -> int:
    """Add up the bytes that a search touches all over, from the `off_heap` of a server from 9.1 on.

    `veq` are scalar-quantised vectors, `veb` binary ones, `cenivf` and `clivf` those of bbq_disk, `vec` the raw
    floats, `vex` the graph. Raw floats beside quantised vectors do not count: rescoring reads a few dozen a search.
    """
    size = {kind: int(off_heap.get(f"total_{kind}_size_bytes", 0)) for kind in ("veq", "veb", "cenivf", "clivf")}
    vectors = sum(size.values()) or int(off_heap.get("total_vec_size_bytes", 0))
    return vectors + int(off_heap.get("total_vex_size_bytes", 0))


def documented(build: Build, vectors: int, dimension: int) -> int:
    """Estimate the same bytes as Elastic's guide does ("Tune approximate kNN search", memory of data nodes).

    A vector of d dimensions: int8 d + 4, int4 d/2 + 4, bbq d/8 + 14, raw 4 d; a node of the graph 4 m.
    """
    by_quantisation = {"int8": dimension + 4, "int4": dimension // 2 + 4, "bbq": dimension // 8 + 14}
    a_vector = by_quantisation.get(build.type.partition("_")[0], 4 * dimension)
    a_node = 4 * (build.m or 16) if "hnsw" in build.type else 0
    return vectors * (a_vector + a_node)


def _oversample(client: Elasticsearch, index: str) -> float:
    properties = client.indices.get_mapping(index=index)[index]["mappings"]["properties"]
    return float(properties[FIELD].get("index_options", {}).get("rescore_vector", {}).get("oversample", 0))
