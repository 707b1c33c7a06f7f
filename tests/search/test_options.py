from __future__ import annotations

import pytest

from bothways.search.options import SearchOptions


def test_equal_texts_are_shown_once_but_in_the_baseline():
    assert SearchOptions(strategy="hybrid").shows_once
    assert not SearchOptions(strategy="hybrid", deduplicate=False).shows_once
    assert not SearchOptions(strategy="dedup").shows_once


@pytest.mark.parametrize(
    ("strategy", "rewrite", "does"),
    [
        ("hybrid", "none", "none"),
        ("hybrid", "query2doc", "query2doc"),
        ("hybrid_rerank", "auto", "auto"),
        ("hybrid_q2d", "none", "query2doc"),
        ("dense_q2d", "query2doc", "query2doc"),
        ("hybrid_q2d_rerank", "auto", "auto"),
        ("bm25", "query2doc", "none"),
    ],
)
def test_what_is_rewritten(strategy, rewrite, does):
    assert SearchOptions(strategy=strategy, rewrite=rewrite).rewrite_of_dense == does
