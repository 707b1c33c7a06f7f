"""The terms that BM25 looks for: the question's words, and their synonyms in the index.

They come from the server (`_analyze`, with the analyzer of searches), because its synonyms may differ from those in
this machine's file. They are cached for a minute, for the other pages of a search or the same search with other
filters.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from bothways.core.elastic.client import elasticsearch_errors
from bothways.search.retrieve.bodies import MAX_WORDS

ANALYZER = "segmented_search"
TTL_S = 60.0
MOST_KEPT = 1024
_MOST_PATHS = 64


@dataclass(frozen=True, slots=True)
class Term:
    """A term: its words as they are in the index, where several must stand side by side.

    `in_question` is what it stands for in the question, with blanks between: itself, or what it is a synonym of.
    """

    words: tuple[str, ...]
    in_question: str

    @property
    def text(self) -> str:
        """The words with blanks between."""
        return " ".join(self.words)

    @property
    def is_synonym(self) -> bool:
        """Whether it stands for other words of the question."""
        return self.text != self.in_question


def plain_terms(words: Sequence[str]) -> tuple[Term, ...]:
    """Return the question's words as terms, without synonyms."""
    return tuple(Term((word,), word) for word in dict.fromkeys(words[:MAX_WORDS]))


class Terms:
    """Reads the terms of questions from the server, and caches the last ones for `ttl_s` seconds. Thread-safe."""

    def __init__(
        self, client: Elasticsearch, *, ttl_s: float = TTL_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._ttl_s = ttl_s
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], tuple[float, tuple[Term, ...]]] = OrderedDict()

    def of(self, index: str, words: Sequence[str]) -> tuple[Term, ...]:
        """Return the terms of a question, its own words before synonyms; raises `ElasticsearchError`."""
        text = " ".join(words[:MAX_WORDS])
        if not text:
            return ()
        key = (index, text)
        with self._lock:
            known = self._kept.get(key)
        if known and self._clock() - known[0] < self._ttl_s:
            return known[1]
        with elasticsearch_errors(f"reading the synonyms of {index}"):
            tokens = self._client.indices.analyze(index=index, analyzer=ANALYZER, text=text)["tokens"]
        terms = read_graph(tokens, text)
        with self._lock:
            self._kept[key] = (self._clock(), terms)
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return terms


def read_graph(tokens: Sequence[Mapping[str, Any]], text: str) -> tuple[Term, ...]:
    """Read the token graph that `_analyze` returns for `text` (words with blanks between) as terms.

    The graph is cut where all its paths meet, as Lucene does for a query (GraphTokenStreamFiniteStrings): between two
    such points each path says the same, and a path of several words is a phrase.
    """
    units = text.encode("utf-16-le")  # Elasticsearch counts offsets so

    def source(part: Sequence[Mapping[str, Any]]) -> str:
        start, end = min(t["start_offset"] for t in part), max(t["end_offset"] for t in part)
        return units[2 * start : 2 * end].decode("utf-16-le")

    parts = [(source(part).split(), part) for part in _parts(tokens)]
    own = [Term((word,), word) for spelled, _ in parts for word in spelled]
    others = [Term(words, " ".join(spelled)) for spelled, part in parts for words in _paths(part)]
    known = {term.text for term in own}
    synonyms = [term for term in others if term.text not in known and term.is_synonym]
    return tuple(dict.fromkeys([*own, *synonyms]))


def _end(token: Mapping[str, Any]) -> int:
    return int(token["position"]) + int(token.get("positionLength", 1))


def _parts(tokens: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Yield a graph's tokens in parts, cut at the positions that no token spans."""
    part: list[Mapping[str, Any]] = []
    end = 0
    for token in sorted(tokens, key=lambda token: int(token["position"])):
        if part and int(token["position"]) >= end:
            yield part
            part = []
        part.append(token)
        end = max(end, _end(token))
    if part:
        yield part


def _paths(part: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Yield the words of each path through a part, at most `_MOST_PATHS`."""
    edges: dict[int, list[tuple[str, int]]] = {}
    for token in part:
        edges.setdefault(int(token["position"]), []).append((str(token["token"]), _end(token)))
    goal = max(map(_end, part))
    open_paths: list[tuple[int, tuple[str, ...]]] = [(min(edges), ())]
    count = 0
    while open_paths and count < _MOST_PATHS:
        position, words = open_paths.pop()
        if position == goal:
            count += 1
            yield words
        open_paths += [(end, (*words, word)) for word, end in edges.get(position, ())]
