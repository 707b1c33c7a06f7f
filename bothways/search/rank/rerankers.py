"""Which reranker reads a collection's candidates: the one that was learnt for it and promoted, else the settings' one.

A version of a collection names its learnt reranker in its `_meta`, which a process looks at again every few seconds
(bothways/search/retrieve/versions.py): a promotion, and its rollback, reach running servers without a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from bothways.core.collections.collection import Collection
from bothways.core.errors import MissingExtraError, ModelError
from bothways.core.lazy import Lazy
from bothways.models.protocols import CrossEncoder
from bothways.search.rank.rerank import Reranker
from bothways.search.rank.rerank_stage import load_reranker

log = structlog.get_logger()

KEPT = 4
"""Learnt rerankers that a process keeps in memory: one a collection, and the one before while some still ask for it."""

Load = Callable[[], Reranker | None]


class Rerankers:
    """The settings' reranker, and those that were learnt for single collections. Thread-safe."""

    def __init__(self, usual: Load, learnt: Callable[[str], Reranker | None]) -> None:
        self._usual = usual
        self._load_learnt = learnt
        self._learnt: dict[str, Load] = {}

    def of(self, collection: Collection) -> Load:
        """Give what loads the reranker of a collection, once for all its searches."""
        if not collection.reranker:
            return self._usual
        known = self._learnt.get(collection.reranker)
        if known is None:
            known = self._learnt.setdefault(collection.reranker, Lazy(partial(self._learnt_or_usual, collection)))
            for folder in list(self._learnt)[:-KEPT]:
                self._learnt.pop(folder, None)
        return known

    def _learnt_or_usual(self, collection: Collection) -> Reranker | None:
        """Load what was learnt; where this machine does not have it, searches are reranked as before it was."""
        try:
            return self._load_learnt(collection.reranker)
        except (ModelError, MissingExtraError) as error:
            log.warning("learnt_reranker_not_loaded", collection=collection.name, reason=str(error))
            return self._usual()


def load_learnt(
    cross_encoder: Callable[[str], CrossEncoder | None], folder: str, *, cache_size: int
) -> Reranker | None:
    """Load the reranker in a folder; raises `ModelError` where there is none: a name is never looked up elsewhere."""
    if not Path(folder).is_absolute() or not Path(folder).is_dir():
        raise ModelError(f"The reranker that was learnt, {folder}, is no folder of this machine.")
    return load_reranker(partial(cross_encoder, folder), cache_size=cache_size)
