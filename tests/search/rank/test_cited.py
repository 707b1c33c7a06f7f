from __future__ import annotations

from bothways.core.results import Hit
from bothways.search.rank.cited import cited_first, keep_cited_first


def hits(*names):
    return [Hit(chunk_id=name, score=score) for score, name in zip((0.9, 0.8, 0.7, 0.6), names, strict=False)]


def test_cited_hits_come_first_and_none_is_lost():
    ranked = cited_first(hits("c", "d"), hits("a", "b", "c"))
    assert [(hit.chunk_id, hit.score) for hit in ranked] == [("c", 0.7), ("d", 0.8), ("a", 0.9), ("b", 0.8)]
    assert cited_first([], hits("a")) == hits("a")


def test_reranking_orders_cited_hits_among_themselves():
    ranked = keep_cited_first(hits("c", "d"), hits("a", "d", "c", "b"))
    assert [hit.chunk_id for hit in ranked] == ["d", "c", "a", "b"]
