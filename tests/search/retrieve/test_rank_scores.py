from __future__ import annotations

from dataclasses import replace

import pytest

from bothways.core.results import Hit, LegScore
from bothways.search.retrieve.msearch import Retrieved
from bothways.search.retrieve.rank_scores import scored_for_caller
from tests.search.states import COLLECTION

PARTIAL = replace(COLLECTION, is_partial=True)


def ranking(leg, *scores):
    return [
        Hit(chunk_id=f"c{rank}", score=score, legs={leg: LegScore(rank=rank, score=score)})
        for rank, score in enumerate(scores, start=1)
    ]


def test_bm25_scores_depend_on_the_rank_alone_where_a_part_is_visible():
    dense = ranking("text_sem", 0.9, 0.8)
    found = Retrieved(legs={"bm25": ranking("bm25", 12.5, 3.1, 0.0), "text_sem": dense}, failed=["questions"])
    shown = scored_for_caller(found, PARTIAL)
    assert [hit.score for hit in shown.legs["bm25"]] == pytest.approx([1.0, 2**-0.3, 0.0])
    assert [hit.legs["bm25"].score for hit in shown.legs["bm25"]] == [hit.score for hit in shown.legs["bm25"]]
    assert (shown.legs["text_sem"], shown.failed) == (dense, ["questions"])


@pytest.mark.parametrize(("collection", "leg"), [(COLLECTION, "bm25"), (PARTIAL, "text_sem")])
def test_other_scores_stay(collection, leg):
    found = Retrieved(legs={leg: ranking(leg, 0.9)})
    assert scored_for_caller(found, collection) is found
