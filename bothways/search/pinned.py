"""A searcher that looks at one version of a collection, live or not, with a reranker of one's choice.

So a candidate is measured exactly as it would be served, beside what is served now.
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
    """Gives one version of a collection, whatever its alias points to."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def open(self, name: str) -> Collection:
        """Return that version; the name is the collection's and is not looked up."""
        assert name == self._collection.name, "a pinned searcher knows one collection"  # noqa: S101
        return self._collection

    def forget(self, name: str) -> None:
        """Forget nothing: a version that is gone is an error here."""


def pinned(
    searcher: Searcher, collection: Collection, *, reranker: Callable[[], Reranker | None] | None = None
) -> Searcher:
    """Return a searcher of that version that shares all else; `reranker` in place of the one that serves it."""
    version = copy.copy(searcher)
    version.versions = OneVersion(collection)
    if reranker is not None:
        version.rerankers = Rerankers(reranker, lambda _: reranker())
    return version
