"""Breakpoints of texts kept on disk: a second run over unchanged documents asks no model where to cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from bothways.indexer.chunk.semantic import Breakpoints
from bothways.models.llm.answer_cache import AnswerCache, cache_key


class CachedBreakpoints:
    """Breakpoints from the file `path` or, for a text that is not in it, from what `load` returns.

    `name` says which model is asked and how: each name has its own entries. The file is only a cache.
    """

    def __init__(self, load: Callable[[], Breakpoints], name: str, path: Path) -> None:
        self._load = load
        self._name = name
        self._path = path

    def __call__(self, texts: Sequence[str]) -> Sequence[int]:
        """Return the sentences after which the topic changes; the file is open only meanwhile."""
        key = cache_key("turns", self._name, *texts)
        with AnswerCache(self._path) as cache:
            kept = cache.get(key)
            if kept is not None:
                return [int(last) for last in json.loads(kept)]
            breakpoints = self._load()(texts)
            cache.put(key, json.dumps(list(breakpoints)))
        return breakpoints
