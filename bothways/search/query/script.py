"""Questions in the script of the collection: Traditional characters become Simplified ones, or the other way round.

Neither words nor vectors match across the two scripts (docs/decisions/deadlines-and-overload.md has the figures).
Documents are indexed as they are; OpenCC converts a question to the script of a sample of the collection's texts.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Literal

import opencc
import structlog
from elasticsearch import Elasticsearch

from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.errors import ElasticsearchError
from bothways.core.text.han import has_han

log = structlog.get_logger()

Script = Literal["simplified", "traditional"]

SAMPLE = 64
"""Number of chunks in the sample."""
TTL_S = 300.0
"""Seconds after which a new sample is taken, because the collection may have other texts."""
_CLEARLY = 4
"""A script must have so many times the other's characters; for a mixed collection, questions stay as they are."""
_CONFIG = {"simplified": "t2s", "traditional": "s2t"}


class Scripts:
    """Knows the script of each collection from a sample, which is renewed now and then. Thread-safe."""

    def __init__(self, client: Elasticsearch) -> None:
        self._client = client
        self._known: dict[str, tuple[float, Script | None]] = {}

    def written_for(self, index: str, text: str) -> str:
        """Return a question in the script of an index; unchanged where that is unknown or mixed, or without Chinese."""
        if not has_han(text):
            return text
        script = self._of(index)
        return text if script is None else convert(text, script)

    def _of(self, index: str) -> Script | None:
        known = self._known.get(index)
        if known is not None and time.monotonic() - known[0] < TTL_S:
            return known[1]
        try:
            script = script_of(self._sample(index))
        except ElasticsearchError as error:
            # The search itself reports the trouble, if it lasts.
            log.warning("script_not_known", index=index, reason=str(error))
            return None
        self._known[index] = (time.monotonic(), script)
        return script

    def _sample(self, index: str) -> str:
        random_texts = {"function_score": {"query": {"match_all": {}}, "random_score": {"seed": 1, "field": "_seq_no"}}}
        with elasticsearch_errors(f"reading texts of {index}"):
            found = self._client.search(
                index=index, query=random_texts, size=SAMPLE, source_includes=["text"], ignore_unavailable=True
            )
        return "\n".join(str(hit["_source"].get("text") or "") for hit in found["hits"]["hits"])


def script_of(text: str) -> Script | None:
    """Return the script of a text, by the characters that the other writes differently; None: of both, or of none."""
    traditional = _different(text, convert(text, "simplified"))
    simplified = _different(text, convert(text, "traditional"))
    if simplified > _CLEARLY * traditional:
        return "simplified"
    if traditional > _CLEARLY * simplified:
        return "traditional"
    return None


def convert(text: str, script: Script) -> str:
    """Return a text in a script; characters of that script stay."""
    return str(_converter(_CONFIG[script]).convert(text))


def _different(text: str, converted: str) -> int:
    return sum(before != after for before, after in zip(text, converted, strict=False))


@cache
def _converter(config: str) -> opencc.OpenCC:
    return opencc.OpenCC(config)
