"""BM25 scores for those who see a part of the documents: a function of the place alone.

BM25 weighs a word by how many documents have it, and a text by how long texts are on the average; Elasticsearch counts
hidden documents, too, and from exact scores their number follows (docs/decisions/access-control.md). A place among the
visible hits tells far less. Whatever is made of the scores later (fusion, thresholds, signs) is made of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bothways.core.collections.collection import Collection
from bothways.core.datatypes import Hit
from bothways.search.retrieve.msearch import Retrieved

STEEPNESS = 0.3
"""How fast it falls. Hybrid strategies find as well with it as with BM25's own (docs/decisions/access-control.md)."""


def for_caller(retrieved: Retrieved, collection: Collection) -> Retrieved:
    """Return what the legs brought as the caller may know it; `collection` is as the caller opened it."""
    if not collection.is_partial or "bm25" not in retrieved.legs:
        return retrieved
    return replace(retrieved, legs={**retrieved.legs, "bm25": scored_by_rank(retrieved.legs["bm25"])})


def scored_by_rank(ranking: Sequence[Hit]) -> list[Hit]:
    """Return the hits of the BM25 leg with 1 / rank ** `STEEPNESS` as score, there and in `legs`; 0 stays 0.

    A score of 0 says that no word of the question is in the hit, whatever other documents hold.
    """
    return [_scored(hit, rank) for rank, hit in enumerate(ranking, start=1)]


def _scored(hit: Hit, rank: int) -> Hit:
    score = float(rank) ** -STEEPNESS if hit.score > 0 else 0.0
    return replace(hit, score=score, legs={**hit.legs, "bm25": replace(hit.legs["bm25"], score=score)})
