"""Request bodies of the legs, built without a client.

The user's text only ever becomes the value of a `match` query, a vector or a value in a filter
(bothways/search/query/filters.py); it never reaches a query language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bothways.core.datatypes import Leg, Vector
from bothways.core.text.han import HAN

SHOWN = ["doc_id", "position", "title", "text", "source", "metadata"]
"""The fields of `_source` that a hit needs; vectors and segmented text stay on the server."""

MAX_WORDS = 256
"""Longest BM25 query in words: below the server's limit of clauses, far above any question."""

WORDS_FROM = 8 * MAX_WORDS
"""Characters of a question that are cut into words: about 256 words of English, and many more of Chinese."""

VECTOR_FIELDS: Mapping[Leg, str] = {"text_sem": "text_sem", "questions": "questions.text_sem"}
"""The vector field of a dense leg."""

_ONE_HAN = re.compile(f"[{HAN}]")


def bm25_body(
    words: Sequence[str],
    raw: str,
    *,
    k: int,
    filters: Sequence[Mapping[str, Any]] = (),
    boosts: Sequence[Mapping[str, Any]] = (),
    boost: float = 1.0,
    all_filtered: bool = False,
    weight_cjk: float = 1.0,
) -> dict[str, Any]:
    """Return the BM25 query: jieba's words in `text_kw` (with synonyms) plus the raw text's bigrams in `text_cjk`.

    The two fields together beat each alone (docs/decisions/bm25-analysis.md); `weight_cjk` weighs the bigrams. A
    chunk that one of `boosts` matches has its score multiplied by `boost`. `all_filtered`: chunks that pass
    the filters are hits even where none of their words match.
    """
    bigrams: dict[str, Any] = {"query": raw[: 2 * MAX_WORDS]}
    if weight_cjk != 1:
        bigrams["boost"] = weight_cjk
    should: list[dict[str, Any]] = [{"match": {"text_cjk": bigrams}}]
    if _ONE_HAN.fullmatch(raw):
        # A single character is no bigram, and seldom a word: search for bigrams that begin with it.
        should.append({"prefix": {"text_cjk": {"value": raw, "rewrite": "top_terms_blended_freqs_64"}}})
    if words:
        should.insert(0, {"match": {"text_kw": {"query": " ".join(words[:MAX_WORDS])}}})
    query: dict[str, Any] = {
        "bool": {"should": should, "minimum_should_match": 0 if all_filtered else 1, "filter": list(filters)}
    }
    if boosts:
        lifted = [{"filter": dict(clause), "weight": boost} for clause in boosts]
        query = {"function_score": {"query": query, "functions": lifted, "score_mode": "max", "boost_mode": "multiply"}}
    return {"query": query, "size": k, "_source": SHOWN, "track_total_hits": False}


def knn_body(
    vector: Vector | Sequence[float],
    *,
    field: str,
    k: int,
    num_candidates: int,
    oversample: float = 0.0,
    filters: Sequence[Mapping[str, Any]] = (),
    matched: bool = False,
) -> dict[str, Any]:
    """Return the kNN query for the `k` chunks nearest to `vector`; of a nested field the best vector counts.

    The client's serializer writes numpy arrays itself (bothways/core/elastic/json_serializers.py). `filters` act inside
    the kNN search, so k hits remain after them. In a quantised field, `oversample` times k candidates are scored again
    with their full vectors; 0 leaves that to the server. `matched` adds the nearest question to a hit, for a field
    below `questions`.
    """
    knn: dict[str, Any] = {
        "field": field,
        "query_vector": vector,
        "k": k,
        "num_candidates": max(k, num_candidates),
    }
    if oversample:
        knn["rescore_vector"] = {"oversample": oversample}
    if filters:
        knn["filter"] = list(filters)
    if matched:
        knn["inner_hits"] = {"size": 1, "_source": False, "fields": ["questions.text"]}
    return {"knn": knn, "size": k, "_source": SHOWN, "track_total_hits": False}


def msearch_lines(
    bodies: Mapping[Leg, Mapping[str, Any]], *, index: str, preference: str | None = None
) -> list[dict[str, Any]]:
    """Return the lines of one `_msearch` request for all legs, in their order."""
    header = {"index": index} | ({"preference": preference} if preference else {})
    return [line for body in bodies.values() for line in (header, dict(body))]
