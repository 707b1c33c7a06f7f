"""Which version of a collection a process searches, while rebuilds make new ones and remove old ones.

A search goes to a version, not to the alias, because its vectors must be of the process's own model. The alias is read
again after `TTL_S`.
"""

from __future__ import annotations

import time

import structlog
from elasticsearch import Elasticsearch

from bothways.core.collections.collection import Collection, open_collection, open_index
from bothways.core.errors import IncompatibleCollectionError

log = structlog.get_logger()

TTL_S = 5.0
"""Seconds for which a collection's version and mapping are cached: the delay until a new version is searched, or a new
metadata field can be used in filters."""


class Versions:
    """The open collections, which must fit one embedding model and text analysis. Thread-safe."""

    def __init__(self, client: Elasticsearch, *, embedding_model: str, analyzer: str) -> None:
        self._client = client
        self._embedding_model = embedding_model
        self._analyzer = analyzer
        self._opened: dict[str, tuple[float, Collection]] = {}
        self._passed_over: set[str] = set()

    def open(self, name: str) -> Collection:
        """Return the version to search.

        Raises `CollectionNotFoundError`, and `IncompatibleCollectionError` for a collection of another model. But where
        an older version of this model was served until now and still exists, it is served on, and the log says once
        what to do. So a rebuild with another model interrupts nobody's searches.
        """
        known = self._opened.get(name)
        if known and time.monotonic() - known[0] < TTL_S:
            return known[1]
        collection = self._usable(open_collection(self._client, name), served=known[1] if known else None)
        self._opened[name] = (time.monotonic(), collection)
        return collection

    def forget(self, name: str) -> None:
        """Read the collection again at the next search: its version is gone, or this process has changed it."""
        self._opened.pop(name, None)

    def _usable(self, found: Collection, *, served: Collection | None) -> Collection:
        """Return the version that was found, or the one that was served until now where only that fits."""
        try:
            self._require(found)
        except IncompatibleCollectionError as error:
            if served is None or served.index == found.index:
                raise
            older = open_index(self._client, served.name, served.index)
            if older is None:
                raise
            self._require(older)
            if found.index not in self._passed_over:
                self._passed_over.add(found.index)
                log.warning("older_version_is_served", index=older.index, instead_of=found.index, reason=str(error))
            return older
        return found

    def _require(self, collection: Collection) -> None:
        collection.require(embedding_model=self._embedding_model, analyzer=self._analyzer)
