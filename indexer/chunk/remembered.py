"""What was said once of a text is kept on disk: a second run over unchanged documents asks no model where to cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from bothways.indexer.chunk.semantic import Turns
from bothways.models.llm.answer_cache import AnswerCache, cache_key


class RememberedTurns:
    """Where texts turn, from the file `path` or, for a text that is not in it, from what `load` gives.

    `name` tells what is asked (the model and how): another name knows nothing yet. The file is only a cache.
    """

    def __init__(self, load: Callable[[], Turns], name: str, path: Path) -> None:
        self._load = load
        self._name = name
        self._path = path

    def __call__(self, texts: Sequence[str]) -> Sequence[int]:
        """Give the sentences after which the text turns; the file is open only meanwhile."""
        key = cache_key("turns", self._name, *texts)
        with AnswerCache(self._path) as cache:
            kept = cache.get(key)
            if kept is not None:
                return [int(turn) for turn in json.loads(kept)]
            turns = self._load()(texts)
            cache.put(key, json.dumps(list(turns)))
        return turns
