"""What a new version of a collection has to show before searches go to it: all its chunks, and that they are found.

A sample of its chunks is searched for by what a search uses: their own text by vector, their own words by BM25. That
notices a version that is not whole, vectors of another model or dimension, and words that were cut another way; how
good searches are is the matter of `bothways eval`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elasticsearch import Elasticsearch

from bothways.core.analysis import Segmenter
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.text.passage import passage
from bothways.models.protocols import Encoder

SAMPLE = 20
"""Chunks that are searched for."""
TOP = 10
"""How high a chunk has to be in the search for itself."""
ENOUGH = 0.9
"""The share of the sample that has to be found: near copies of a text may crowd one out."""
_WORDS = 128
_SHOWN = ["heading", "text"]
_HAS_VECTOR = {"exists": {"field": "text_sem"}}


def check_version(
    client: Elasticsearch, index: str, *, chunks: int, may_hold_more: bool, encoder: Encoder, segmenter: Segmenter
) -> str:
    """Return what is wrong with a finished version, or "" if nothing is.

    `chunks` is how many were read for it; `may_hold_more` where some files could not be read now and were before.
    """
    with elasticsearch_errors(f"checking {index}"):
        client.indices.refresh(index=index)
        held = int(client.count(index=index)["count"])
        if held < chunks or (held > chunks and not may_hold_more):
            return f"it holds {held:,} chunks and {chunks:,} were read"
        return _by_vector(client, index, encoder) or _by_words(client, index, segmenter)


def _by_vector(client: Elasticsearch, index: str, encoder: Encoder) -> str:
    sample = _sample(client, index, _HAS_VECTOR)
    if not sample:
        return "none of its chunks has a vector"
    vectors = encoder.encode_documents([_indexed_text(hit["_source"]) for hit in sample])
    bodies = [
        {"knn": {"field": "text_sem", "query_vector": vector, "k": TOP, "num_candidates": 10 * TOP}}
        for vector in vectors
    ]
    return _verdict(client, index, sample, bodies, "text by vector")


def _by_words(client: Elasticsearch, index: str, segmenter: Segmenter) -> str:
    sample = _sample(client, index, {"match_all": {}})
    bodies = []
    for hit in sample:
        text = _indexed_text(hit["_source"])
        words = " ".join(segmenter.words(text)[:_WORDS])
        should = [{"match": {"text_kw": words}}, {"match": {"text_cjk": text[:_WORDS]}}]
        bodies.append({"query": {"bool": {"should": should}}})
    return _verdict(client, index, sample, bodies, "words by BM25")


def _sample(client: Elasticsearch, index: str, query: dict[str, Any]) -> list[dict[str, Any]]:
    """Draw chunks by chance, the same ones for the same index."""
    drawn = {"function_score": {"query": query, "random_score": {"seed": 1, "field": "_seq_no"}}}
    response = client.search(index=index, query=drawn, size=SAMPLE, source_includes=_SHOWN, track_total_hits=False)
    return list(response["hits"]["hits"])


def _verdict(
    client: Elasticsearch, index: str, sample: Sequence[dict[str, Any]], bodies: Sequence[dict[str, Any]], by: str
) -> str:
    common = {"size": TOP, "_source": _SHOWN, "track_total_hits": False}
    searches = [line for body in bodies for line in ({"index": index}, {**body, **common})]
    answers = client.msearch(searches=searches)["responses"]
    for answer in answers:
        if "error" in answer:
            cause = (answer["error"].get("root_cause") or [answer["error"]])[0]
            return f"the search for a chunk's own {by} failed: {cause.get('reason')}"
    missed = [hit["_id"] for hit, answer in zip(sample, answers, strict=True) if not _is_among(hit, answer)]
    if len(missed) <= (1 - ENOUGH) * len(sample):
        return ""
    return (
        f"{len(missed)} of {len(sample)} sampled chunks are not among the first {TOP} hits for their own {by} "
        f"(as {missed[0]})"
    )


def _is_among(sampled: dict[str, Any], answer: dict[str, Any]) -> bool:
    """Return whether a chunk, or one of the very same text, is among the hits."""
    return any(hit["_id"] == sampled["_id"] or hit["_source"] == sampled["_source"] for hit in answer["hits"]["hits"])


def _indexed_text(source: dict[str, Any]) -> str:
    return passage(source.get("heading"), source["text"])
