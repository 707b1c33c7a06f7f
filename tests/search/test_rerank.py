from __future__ import annotations

import pytest

from core.datatypes import Hit
from search.rerank import rerank, sigmoid
from tests.fakes import OverlapCrossEncoder


def test_orders_by_logit_and_scores_by_sigmoid():
    hits = [Hit("a", 0.5, text="天气"), Hit("b", 0.4, text="合同违约"), Hit("c", 0.3, text="合同")]
    ranked = rerank("合同违约", hits, OverlapCrossEncoder(), top_n=3)
    assert [h.chunk_id for h in ranked] == ["b", "c", "a"]
    assert ranked[0].cross_encoder == 4.0
    assert ranked[0].score == pytest.approx(0.98201379)


def test_only_the_first_n_are_read_and_kept():
    hits = [Hit("a", 0.5, text="x"), Hit("b", 0.4, text="合同")]
    assert [h.chunk_id for h in rerank("合同", hits, OverlapCrossEncoder(), top_n=1)] == ["a"]


def test_nothing_to_rerank():
    assert rerank("q", [], OverlapCrossEncoder(), top_n=3) == []


@pytest.mark.parametrize(("logit", "expected"), [(0, 0.5), (1000, 1.0), (-1000, 0.0), (2.61, 0.9315)])
def test_sigmoid(logit, expected):
    assert sigmoid(logit) == pytest.approx(expected, abs=1e-4)
