"""A searcher of one version of a collection, live or not, with any reranker.

With it, a candidate is measured exactly as it would be served, beside the version that is served now.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from bothways.core.collections.collection import Collection
from bothways.search.pipeline import Searcher
from bothways.search.rank.rerank import Reranker
from bothways.search.rank.rerankers import Rerankers
from bothways.search.retrieve.versions import Versions


class OneVersion(Versions):
    """Opens one version of a collection, wherever its alias points."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def open(self, name: str) -> Collection:
        """Return that version; `name` must be the collection's."""
        assert name == self._collection.name, "a pinned searcher knows one collection"  # noqa: S101
        return self._collection

    def forget(self, name: str) -> None:
        """Do nothing: here it is an error when the version is gone."""


def pinned(
    searcher: Searcher, collection: Collection, *, reranker: Callable[[], Reranker | None] | None = None
) -> Searcher:
    """Return a searcher of that version that shares all else; `reranker` replaces the one that serves it."""
    version = copy.copy(searcher)
    version.versions = OneVersion(collection)
    if reranker is not None:
        version.rerankers = Rerankers(reranker, lambda _: reranker())
    return version
