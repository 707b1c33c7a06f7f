"""Elasticsearch request bodies, built without a client: what the legs of a search ask.

The user's text only ever becomes the value of a `match` query, a vector or the value of a `terms` filter; it never
reaches a query language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.datatypes import Leg, Vector
from core.errors import UnknownFieldError, UsageError
from core.valid_text import valid_text

SHOWN = ["doc_id", "position", "title", "text", "source", "metadata"]
"""What a hit needs of `_source`; vectors and segmented text stay on the server."""

MAX_WORDS = 256
"""Longest query BM25 gets, in words: below the server's limit of clauses, far above any question."""

WORDS_FROM = 8 * MAX_WORDS
"""Characters that words are cut from: some 256 words of English, and far more of Chinese."""

VECTOR_FIELDS: Mapping[Leg, str] = {"text_sem": "text_sem", "questions": "questions.text_sem"}
"""Which vectors a leg compares with."""

FilterValue = str | int | float | bool | Sequence[str | int | float | bool]
_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")
_PLAIN = {"doc_id", "source", "chunk_id"}


def filter_clauses(filters: Mapping[str, FilterValue], *, fields: Iterable[str]) -> list[dict[str, Any]]:
    """Turn `{field: value or list of values}` into filter clauses; all fields must match, any of a list's values.

    A field is one of the collection's metadata (with or without `metadata.` in front) or `doc_id`, `chunk_id`,
    `source`. Raises `UnknownFieldError` naming what there is.
    """
    known = set(fields)
    clauses: list[dict[str, Any]] = []
    for field, value in filters.items():
        name = field.removeprefix("metadata.")
        if name in known:
            path = f"metadata.{name}"
        elif field in _PLAIN:
            path = field
        else:
            there = ", ".join(sorted(known | _PLAIN))
            raise UnknownFieldError(f"There is no field {field[:80]!r} to filter by; this collection has: {there}.")
        values = [value] if isinstance(value, str | int | float) else list(value)
        if not values:
            raise UsageError(f"The filter on {field[:80]!r} names no value.")
        clauses.append({"terms": {path: [_as_keyword(item) for item in values]}})
    return clauses


def _as_keyword(value: str | float | bool) -> str:
    return valid_text(str(value).lower() if isinstance(value, bool) else str(value))


def bm25_body(words: Sequence[str], raw: str, *, k: int, filters: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Ask by words: jieba's words in `text_kw` (with synonyms) and the raw text's bigrams in `text_cjk`, summed.

    The two fields together beat each alone (docs/decisions/analysis.md).
    """
    should: list[dict[str, Any]] = [{"match": {"text_cjk": {"query": raw[: 2 * MAX_WORDS]}}}]
    if _HAN.fullmatch(raw):
        # A character alone is no pair, and seldom a word: it is looked for at the beginning of the pairs.
        should.append({"prefix": {"text_cjk": {"value": raw, "rewrite": "top_terms_blended_freqs_64"}}})
    if words:
        should.insert(0, {"match": {"text_kw": {"query": " ".join(words[:MAX_WORDS])}}})
    query = {"bool": {"should": should, "minimum_should_match": 1, "filter": list(filters)}}
    return {"query": query, "size": k, "_source": SHOWN, "track_total_hits": False}


def knn_body(
    vector: Vector | Sequence[float],
    *,
    field: str,
    k: int,
    num_candidates: int,
    filters: Sequence[Mapping[str, Any]] = (),
    matched: bool = False,
) -> dict[str, Any]:
    """Ask by vector: the `k` nearest chunks by `field`, a nested field counting by its best vector.

    The vector goes out as it is: the client's serializer (core/json_serializers.py) writes numpy arrays itself.
    `filters` act inside the kNN search, so that k hits remain after them. `matched` brings the question that was
    nearest, for a field below `questions`.
    """
    knn: dict[str, Any] = {
        "field": field,
        "query_vector": vector,
        "k": k,
        "num_candidates": max(k, num_candidates),
    }
    if filters:
        knn["filter"] = list(filters)
    if matched:
        knn["inner_hits"] = {"size": 1, "_source": False, "fields": ["questions.text"]}
    return {"knn": knn, "size": k, "_source": SHOWN, "track_total_hits": False}


def msearch_lines(bodies: Mapping[Leg, Mapping[str, Any]], *, index: str) -> list[dict[str, Any]]:
    """Put the legs' bodies into the one `_msearch` request, in their order."""
    return [line for body in bodies.values() for line in ({"index": index}, dict(body))]
