"""The vocabularies of the collections that a process searches: learnt at the first search, renewed in the background.

Callers with access groups have vocabularies of their own (bothways/search/view.py): values of documents that they
cannot see must not be recognised in their questions.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from elasticsearch import Elasticsearch

from bothways.core.collections.collection import Collection
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.errors import ElasticsearchError
from bothways.search.query.self_query.vocabulary import MIN_CHUNKS_A_NAME, Vocabulary, learn, learn_numbers

log = structlog.get_logger()

TTL_S = 60.0
"""Seconds after which a vocabulary is renewed; the search that starts this still uses the old one."""

MAX_KEPT = 32
MAX_NAMES_KEPT = 300_000
"""The most vocabularies in memory, and the most names in all of them; the least recently used is dropped first."""

MAX_FIELDS = 50
MAX_VALUES = 100_000
"""The most values of one vocabulary; fields with many values are left out first."""

_MAX_VALUES_A_FIELD = 50_000
_SAMPLE = 20
_KINDS = ("distinct", "chunks", "sample")
_TIMEOUT_S = 5.0


def in_thread(work: Callable[[], None]) -> None:
    """Run `work` in a thread that does not keep the process alive."""
    threading.Thread(target=work, name="vocabulary", daemon=True).start()


@dataclass(slots=True)
class _Kept:
    vocabulary: Vocabulary
    learnt_at: float
    is_renewed: bool = False


class Vocabularies:
    """Learns and caches vocabularies. Thread-safe; `start` runs work in the background."""

    def __init__(
        self,
        client: Elasticsearch,
        *,
        clock: Callable[[], float] = time.monotonic,
        start: Callable[[Callable[[], None]], None] = in_thread,
    ) -> None:
        self._client = client
        self._clock = clock
        self._start = start
        self._lock = threading.Lock()
        self._learning = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def of(self, collection: Collection) -> Vocabulary:
        """Return the vocabulary of a version; raises `ElasticsearchError` where it cannot be learnt at first."""
        kept = self._look_up(collection.index)
        if kept is None:
            with self._learning:  # one at a time: threads that waited find it learnt
                kept = self._look_up(collection.index) or self._learn(collection)
        elif self._begins_renewal(kept):
            self._start(partial(self._renew, collection))
        return kept.vocabulary

    def _look_up(self, index: str) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(index)
            if kept is not None:
                self._kept.move_to_end(index)
            return kept

    def _begins_renewal(self, kept: _Kept) -> bool:
        with self._lock:
            if kept.is_renewed or self._clock() - kept.learnt_at < TTL_S:
                return False
            kept.is_renewed = True
            return True

    def _learn(self, collection: Collection) -> _Kept:
        kept = _Kept(learn(values_of(self._client, collection)), self._clock())
        with self._lock:
            self._kept[collection.index] = kept
            while len(self._kept) > MAX_KEPT or (len(self._kept) > 1 and self._names() > MAX_NAMES_KEPT):
                self._kept.popitem(last=False)
        return kept

    def _names(self) -> int:
        return sum(len(kept.vocabulary.names) for kept in self._kept.values())

    def _renew(self, collection: Collection) -> None:
        try:
            self._learn(collection)
        except ElasticsearchError as error:
            # For example, a rebuild has removed the version. The old one stays for another TTL_S.
            log.warning("vocabulary_not_renewed", index=collection.index, reason=str(error))
            with self._lock:
                if kept := self._kept.get(collection.index):
                    self._kept[collection.index] = _Kept(kept.vocabulary, self._clock())


def values_of(client: Elasticsearch, collection: Collection) -> dict[str, dict[str, int]]:
    """Return the number of chunks by field and value, for the metadata fields that can hold names or numbers."""
    fields = sorted(collection.metadata_fields)[:MAX_FIELDS]
    if not fields:
        return {}
    client = client.options(request_timeout=_TIMEOUT_S)
    with elasticsearch_errors(f"reading the metadata of {collection.name!r}"):
        # Aggregations are named by numbers: Elasticsearch refuses [, ] and > in names, which a field may have.
        overviews = [_overview(f"metadata.{name}") for name in fields]
        aggs = {f"{kind}{place}": each for place, kinds in enumerate(overviews) for kind, each in kinds.items()}
        found = client.search(index=collection.index, size=0, aggs=aggs)["aggregations"]
        by_field = {name: {kind: found[f"{kind}{place}"] for kind in _KINDS} for place, name in enumerate(fields)}
        sizes = _worth_reading(by_field)
        searches: list[dict[str, Any]] = []
        for name, size in sizes.items():
            values = {"terms": {"field": f"metadata.{name}", "size": size}}
            searches += [{"index": collection.index}, {"size": 0, "aggs": {"values": values}}]
        answers = client.msearch(searches=searches)["responses"] if searches else []
    read: dict[str, dict[str, int]] = {}
    for name, answer in zip(sizes, answers, strict=True):
        if "error" in answer:
            raise ElasticsearchError(f"Elasticsearch failed while reading the metadata field {name!r}.")
        read[name] = {row["key"]: int(row["doc_count"]) for row in answer["aggregations"]["values"]["buckets"]}
    return read


def _overview(path: str) -> dict[str, dict[str, Any]]:
    return {
        "distinct": {"cardinality": {"field": path, "precision_threshold": 3000}},
        "chunks": {"value_count": {"field": path}},
        "sample": {"terms": {"field": path, "size": _SAMPLE}},
    }


def _worth_reading(found: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Return the fields that hold names or numbers, with the number of values to read, the smallest first."""
    sizes: dict[str, int] = {}
    left = MAX_VALUES
    for name in sorted(found, key=lambda name: found[name]["distinct"]["value"]):
        distinct = int(found[name]["distinct"]["value"])
        sample = [row["key"] for row in found[name]["sample"]["buckets"]]
        groups = distinct and found[name]["chunks"]["value"] / distinct >= MIN_CHUNKS_A_NAME
        if not sample or not (groups or learn_numbers(name, sample)):
            continue
        size = distinct + distinct // 10 + _SAMPLE  # the count is not exact
        if size > min(left, _MAX_VALUES_A_FIELD):
            log.info("field_not_in_vocabulary", field=name, values=distinct, most=min(left, _MAX_VALUES_A_FIELD))
            continue
        sizes[name] = size
        left -= size
    return sizes
