"""BM25 scores for callers who see only a part of the documents: they depend on the rank alone.

BM25 weighs a word by how many documents have it, and a text by the average length. Elasticsearch counts hidden
documents, too, so exact scores would reveal their number. A rank among the visible hits reveals far less. Everything
that is computed from the scores later (fusion, thresholds, signs) uses these. See docs/decisions/access-control.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bothways.core.collections.collection import Collection
from bothways.core.results import Hit
from bothways.search.retrieve.msearch import Retrieved

STEEPNESS = 0.3
"""How fast the score falls. Hybrid strategies find as much with it as with BM25's own."""


def scored_for_caller(retrieved: Retrieved, collection: Collection) -> Retrieved:
    """Return what the legs brought as the caller may know it; `collection` is as the caller opened it."""
    if not collection.is_partial or "bm25" not in retrieved.legs:
        return retrieved
    return replace(retrieved, legs={**retrieved.legs, "bm25": scored_by_rank(retrieved.legs["bm25"])})


def scored_by_rank(ranking: Sequence[Hit]) -> list[Hit]:
    """Return the hits of the BM25 leg with 1 / rank ** `STEEPNESS` as score, in the hit and in its `legs`.

    A score of 0 stays 0: it says that the hit has no word of the question, whatever other documents hold.
    """
    return [_scored(hit, rank) for rank, hit in enumerate(ranking, start=1)]


def _scored(hit: Hit, rank: int) -> Hit:
    score = float(rank) ** -STEEPNESS if hit.score > 0 else 0.0
    return replace(hit, score=score, legs={**hit.legs, "bm25": replace(hit.legs["bm25"], score=score)})
