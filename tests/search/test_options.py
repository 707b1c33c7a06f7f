from __future__ import annotations

import pytest

from search.options import SearchOptions


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
