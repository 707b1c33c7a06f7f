"""Judged queries that are among the indexed questions, word for word: figures from them would be too good."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from bothways.core.collections.collection import Collection, open_collection
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.errors import EvaluationError
from bothways.evaluation.judged.queries import JudgedQuery

_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A judged query and the chunk that has it as a question; not `exact`: with other punctuation."""

    query_id: str
    text: str
    chunk_id: str
    exact: bool


def find_leaks(client: Elasticsearch, collection: Collection, queries: Sequence[JudgedQuery]) -> list[Leak]:
    """List the judged queries that are also indexed questions, whatever their spaces, width and case.

    Reads all questions of the collection once, a page at a time. A query is listed once: with the first chunk that has
    it exactly, else with the first that has it with other punctuation.
    """
    by_words: dict[str, list[JudgedQuery]] = {}
    for query in queries:
        by_words.setdefault(_words(query.text), []).append(query)
    leaks: dict[str, Leak] = {}
    for chunk_id, question in _questions(client, collection.index):
        for query in by_words.get(_words(question), ()):
            exact = _letters(query.text) == _letters(question)
            known = leaks.get(query.query_id)
            if known is None or (exact and not known.exact):
                leaks[query.query_id] = Leak(query_id=query.query_id, text=query.text, chunk_id=chunk_id, exact=exact)
    return list(leaks.values())


def open_judged(
    client: Elasticsearch, name: str, queries: Sequence[JudgedQuery], *, allow_leaks: bool = False
) -> Collection:
    """Open a collection to measure it by judged queries; raise `EvaluationError` if its questions have one of them."""
    opened = open_collection(client, name)
    if not allow_leaks:
        refuse_leaks(find_leaks(client, opened, queries))
    return opened


def refuse_leaks(leaks: Sequence[Leak]) -> None:
    """Raise `EvaluationError` if judged queries are indexed questions word for word; the message names them."""
    exact = [leak for leak in leaks if leak.exact]
    if exact:
        raise EvaluationError(
            f"{len(exact)} judged queries stand word for word among the indexed questions: {named(exact)}. Figures "
            "from them would say nothing about new questions: index without those questions, or use --allow-leaks."
        )


def named(leaks: Sequence[Leak]) -> str:
    """Return the first leaks as text, and how many more there are."""
    first = "; ".join(f"{leak.query_id} “{leak.text[:60]}” (chunk {leak.chunk_id})" for leak in leaks[:_NAMED])
    return first + (f" and {len(leaks) - _NAMED} more" if len(leaks) > _NAMED else "")


def _questions(client: Elasticsearch, index: str) -> Iterator[tuple[str, str]]:
    having = {"nested": {"path": "questions", "query": {"exists": {"field": "questions.text_kw"}}}}
    with elasticsearch_errors("reading the indexed questions"):
        for hit in scan(client, index=index, query={"query": having, "_source": ["questions.text"]}, size=1000):
            for question in hit["_source"].get("questions", ()):
                yield hit["_id"], question["text"]


def _letters(text: str) -> str:
    """Return a text without spaces and without differences in width and case."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text).casefold())


def _words(text: str) -> str:
    """Return a text without punctuation, too: a question mark does not make a new question."""
    return re.sub(r"[\W_]+", "", _letters(text))
