"""What the last searches met, so that `/health/ready` says what searches would say."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bothways.core.collections.collection import alias_of
from bothways.core.errors import CollectionNotFoundError, ElasticsearchError, UsageError
from bothways.search.pipeline import Searcher
from bothways.search.retrieve.msearch import reader, retrieve

_MOST = 16
"""Collections that are tried out: trouble that many have is seen in the first of them."""
_ANYTHING: dict[str, Any] = {"query": {"match_all": {}}, "size": 0}


class LastSearches:
    """Remembers the collections whose last search failed by Elasticsearch. Thread-safe.

    `timeout_ms` is what Elasticsearch has for a search.
    """

    def __init__(self, *, timeout_ms: float) -> None:
        self._timeout_ms = timeout_ms
        self._failed: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def watched(self, collection: str) -> Iterator[None]:
        """Note how a search of a collection ends, which is done within the `with`."""
        try:
            yield
        except CollectionNotFoundError:
            raise  # as where it was removed in the middle; that is no trouble
        except ElasticsearchError:
            with self._lock:
                self._failed[collection] = None
                while len(self._failed) > _MOST:
                    self._failed.popitem(last=False)
            raise
        self._forget(collection)

    def check(self, searcher: Searcher) -> None:
        """Search the collections again whose last search failed; raises the `ElasticsearchError` of one that fails."""
        for collection in list(self._failed):
            client = reader(searcher.client, timeout_ms=self._timeout_ms)
            try:
                retrieve(client, {"bm25": _ANYTHING}, index=alias_of(collection), timeout_ms=self._timeout_ms)
            except (CollectionNotFoundError, UsageError):
                pass  # there is no such collection (any more)
            self._forget(collection)

    def _forget(self, collection: str) -> None:
        with self._lock:
            self._failed.pop(collection, None)
