"""Which version of a collection a process searches, while rebuilds make new ones and remove old ones.

A search goes to the version that was opened, not to the alias: its vectors are of the model that the process has. The
alias is looked at again after `TTL_S`.
"""

from __future__ import annotations

import time

import structlog
from elasticsearch import Elasticsearch

from bothways.core.collections.collection import Collection, open_collection, open_index
from bothways.core.errors import IncompatibleCollectionError

log = structlog.get_logger()

TTL_S = 5.0
"""How long a collection's version and mapping are believed: a new version is searched, and new metadata fields can be
filtered by, after that time at the latest."""


class Versions:
    """The collections that were opened for one embedding model and text analysis. Thread-safe."""

    def __init__(self, client: Elasticsearch, *, embedding_model: str, analyzer: str) -> None:
        self._client = client
        self._embedding_model = embedding_model
        self._analyzer = analyzer
        self._opened: dict[str, tuple[float, Collection]] = {}
        self._passed_over: set[str] = set()

    def open(self, name: str) -> Collection:
        """Give the version to search.

        Raises `CollectionNotFoundError`, and `IncompatibleCollectionError` for a collection of another model, unless
        an older version of this model was served until now and is still there: then that one goes on being served,
        and a warning says once what to do. So a rebuild with another model takes no search away from anybody.
        """
        known = self._opened.get(name)
        if known and time.monotonic() - known[0] < TTL_S:
            return known[1]
        collection = self._usable(open_collection(self._client, name), served=known[1] if known else None)
        self._opened[name] = (time.monotonic(), collection)
        return collection

    def forget(self, name: str) -> None:
        """Look the collection up anew at the next search: its version is gone, or was changed by this process."""
        self._opened.pop(name, None)

    def _usable(self, found: Collection, *, served: Collection | None) -> Collection:
        try:
            self._require(found)
        except IncompatibleCollectionError as error:
            kept = self._kept(served, instead_of=found)
            if kept is None:
                raise
            if found.index not in self._passed_over:
                self._passed_over.add(found.index)
                log.warning("older_version_is_served", index=kept.index, instead_of=found.index, reason=str(error))
            return kept
        return found

    def _kept(self, served: Collection | None, *, instead_of: Collection) -> Collection | None:
        if served is None or served.index == instead_of.index:
            return None
        kept = open_index(self._client, served.name, served.index)
        if kept is not None:
            self._require(kept)
        return kept

    def _require(self, collection: Collection) -> None:
        collection.require(embedding_model=self._embedding_model, analyzer=self._analyzer)
