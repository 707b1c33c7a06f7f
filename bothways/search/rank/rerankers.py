"""Which reranker reads a collection's candidates: one that was learnt for it and promoted, else that of the settings.

A version of a collection names its learnt reranker in its `_meta`, which a process reads again every few seconds
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
from bothways.models.protocols import CrossEncoder, LimitedReader
from bothways.search.rank.rerank import Reranker

log = structlog.get_logger()

KEPT = 4
"""Learnt rerankers that a process keeps in memory: one a collection, and former ones that searches still use."""

Load = Callable[[], Reranker | None]


class Rerankers:
    """The reranker of the settings (`usual`), and those that were learnt for single collections. Thread-safe."""

    def __init__(self, usual: Load, learnt: Callable[[str], Reranker | None]) -> None:
        self.usual = usual
        self._load_learnt = learnt
        self._learnt: dict[str, Load] = {}

    def of(self, collection: Collection) -> Load:
        """Return what loads the reranker of a collection, once for all its searches."""
        if not collection.reranker:
            return self.usual
        known = self._learnt.get(collection.reranker)
        if known is None:
            known = self._learnt.setdefault(collection.reranker, Lazy(partial(self._learnt_or_usual, collection)))
            for folder in list(self._learnt)[:-KEPT]:
                self._learnt.pop(folder, None)
        return known

    def warm_up(self) -> None:
        """Load the usual one now; where it cannot be loaded, searches do without it and say so."""
        try:
            if (reranker := self.usual()) is not None:
                reranker.warm_up()
        except (ModelError, MissingExtraError) as error:
            log.warning("reranker_failed", reason=str(error))

    def _learnt_or_usual(self, collection: Collection) -> Reranker | None:
        """Load the learnt one; where this machine does not have it, the usual one serves."""
        try:
            return self._load_learnt(collection.reranker)
        except (ModelError, MissingExtraError) as error:
            log.warning("learnt_reranker_not_loaded", collection=collection.name, reason=str(error))
            return self.usual()


def load_reranker(cross_encoder: Callable[[], CrossEncoder | None], *, cache_size: int) -> Reranker | None:
    """Load the cross-encoder and return its reranker; None where none is set."""
    model = cross_encoder()
    if model is None:
        return None
    return Reranker(model, cache_size=cache_size, at_once=model.at_once if isinstance(model, LimitedReader) else 1)


def load_learnt(
    cross_encoder: Callable[[str], CrossEncoder | None], folder: str, *, cache_size: int
) -> Reranker | None:
    """Load the reranker in a folder; raises `ModelError` where there is none: a name is never looked up elsewhere."""
    if not Path(folder).is_absolute() or not Path(folder).is_dir():
        raise ModelError(f"The learnt reranker {folder} is no folder of this machine.")
    return load_reranker(partial(cross_encoder, folder), cache_size=cache_size)
