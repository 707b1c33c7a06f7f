"""The hits that a question itself names ("民法典第五百九十条") stand in front of all others."""

from __future__ import annotations

from collections.abc import Sequence

from bothways.core.results import Hit


def cited_first(cited: Sequence[Hit], hits: Sequence[Hit]) -> list[Hit]:
    """Put the cited hits in front, in their order, and the others behind; a hit of both is as `hits` has it."""
    if not cited:
        return list(hits)
    ranked = {hit.chunk_id: hit for hit in hits}
    front = {hit.chunk_id: ranked.get(hit.chunk_id, hit) for hit in cited}
    return [*front.values(), *(hit for hit in hits if hit.chunk_id not in front)]


def keep_cited_first(cited: Sequence[Hit], reranked: Sequence[Hit]) -> list[Hit]:
    """Put the cited hits in front of a reranked list; both parts keep the order that the reranker gave them."""
    cited_ids = {hit.chunk_id for hit in cited}
    return sorted(reranked, key=lambda hit: hit.chunk_id not in cited_ids)
