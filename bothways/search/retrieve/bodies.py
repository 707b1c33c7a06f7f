"""Elasticsearch request bodies, built without a client: what the legs of a search ask.

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
"""What a hit needs of `_source`; vectors and segmented text stay on the server."""

MAX_WORDS = 256
"""Longest query BM25 gets, in words: below the server's limit of clauses, far above any question."""

WORDS_FROM = 8 * MAX_WORDS
"""Characters that words are cut from: some 256 words of English, and far more of Chinese."""

VECTOR_FIELDS: Mapping[Leg, str] = {"text_sem": "text_sem", "questions": "questions.text_sem"}
"""Which vectors a leg compares with."""

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
    """Ask by words: jieba's words in `text_kw` (with synonyms) and the raw text's bigrams in `text_cjk`, summed.

    The two fields together beat each alone (docs/decisions/bm25-analysis.md); `weight_cjk` is what the bigrams weigh. A
    chunk that one of `boosts` matches has its score multiplied by `boost`. `all_filtered`: what the filters let through
    is a hit even where no word of it matches.
    """
    bigrams: dict[str, Any] = {"query": raw[: 2 * MAX_WORDS]}
    if weight_cjk != 1:
        bigrams["boost"] = weight_cjk
    should: list[dict[str, Any]] = [{"match": {"text_cjk": bigrams}}]
    if _ONE_HAN.fullmatch(raw):
        # A character alone is no pair, and seldom a word: it is looked for at the beginning of the pairs.
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
    """Ask by vector: the `k` nearest chunks by `field`, a nested field counting by its best vector.

    The vector goes out as it is: the client's serializer (bothways/core/elastic/json_serializers.py) writes numpy
    arrays itself. `filters` act inside the kNN search, so that k hits remain after them. Of a quantised field,
    `oversample` times k candidates are scored again with their full vectors; 0 leaves that to the server. `matched`
    brings the question that was nearest, for a field below `questions`.
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
    """Put the legs' bodies into the one `_msearch` request, in their order; `preference` chooses the shards' copies."""
    header = {"index": index} | ({"preference": preference} if preference else {})
    return [line for body in bodies.values() for line in (header, dict(body))]
