"""Why BM25 found a hit: which of the question's words and synonyms the index has for it, and where.

They are read from the index, because they may be in the hit's pseudo-questions, which its text does not show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from elasticsearch import Elasticsearch

from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.results import Hit, MatchedWords
from bothways.search.present.highlight import bigrams, find, fold
from bothways.search.present.terms import Term
from bothways.search.retrieve.bodies import MAX_WORDS

_INDEXED = ["heading", "text", "text_kw", "questions.text", "questions.text_kw"]


def with_words(client: Elasticsearch, index: str, hits: Sequence[Hit], terms: Sequence[Term], query: str) -> list[Hit]:
    """Return the hits with `words` in their BM25 leg, by one request; hits of other legs stay as they are.

    Raises `ElasticsearchError`.
    """
    ids = [hit.chunk_id for hit in hits if "bm25" in hit.legs]
    if not ids:
        return list(hits)
    with elasticsearch_errors("reading why hits were found"):
        answer = client.mget(index=index, ids=ids, source_includes=_INDEXED, realtime=False)
    sources = {doc["_id"]: doc["_source"] for doc in answer["docs"] if doc.get("found")}
    return [
        _with_words(hit, matched_words(sources[hit.chunk_id], terms, query)) if hit.chunk_id in sources else hit
        for hit in hits
    ]


def matched_words(source: Mapping[str, Any], terms: Sequence[Term], query: str) -> MatchedWords:
    """Return the words that a question shares with what the index has of one chunk (its `_source`)."""
    questions = source.get("questions", ())
    in_chunk = {term for term in terms if _has(source.get("text_kw", ""), term)}
    found = [term for term in terms if term in in_chunk or any(_has(row["text_kw"], term) for row in questions)]
    texts = [source.get("heading", ""), source.get("text", ""), *(row["text"] for row in questions)]
    return MatchedWords(
        words=tuple(term.text for term in found if not term.is_synonym),
        synonyms={term.text: term.in_question for term in found if term.is_synonym},
        in_questions=tuple(term.text for term in found if term not in in_chunk),
        bigrams=shared_runs(query[: 2 * MAX_WORDS], texts, without=[term.text for term in found]),
    )


def shared_runs(query: str, texts: Sequence[str], *, without: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the runs of the query's characters whose pairs all occur in one of the texts, in the query's order.

    A run that consists of words in `without` is left out.
    """
    shared = set().union(*(bigrams(text) for text in texts))
    plain, _ = fold(query)
    known = {at for start, end in find(plain, without) for at in range(start, end)}
    runs = find(plain, [pair for pair in bigrams(query) if pair in shared])
    return tuple(dict.fromkeys(plain[start:end] for start, end in runs if not known.issuperset(range(start, end))))


def _has(segmented: str, term: Term) -> bool:
    return f" {term.text} " in f" {segmented} "


def _with_words(hit: Hit, words: MatchedWords) -> Hit:
    return replace(hit, legs={**hit.legs, "bm25": replace(hit.legs["bm25"], words=words)})
