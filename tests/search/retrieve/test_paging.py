from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.core.results import Hit, LegScore, SearchResult
from bothways.search.options import SearchOptions
from bothways.search.rank.combine import fuse
from bothways.search.rank.rerank import Reranker, rerank
from bothways.search.rank.rerank_stage import above_threshold, rerank_stage
from bothways.search.retrieve.paging import cut, in_order, preference
from tests.search.states import state_of


def hits(*ids, score=1.0, **more):
    return [Hit(chunk_id=name, score=score, **more) for name in ids]


def ids(found):
    return [hit.chunk_id for hit in found]


def result(options, every):
    return SearchResult(
        query_id="q",
        query="x",
        strategy=options.strategy,
        collection="c",
        index="i",
        hits=cut(every, options),
        legs={},
        timings_ms={},
        offset=options.offset,
        total=len(every),
    )


def test_equal_scores_are_in_the_order_of_their_ids():
    found = [{"_id": "b", "_score": 1.0}, {"_id": "c", "_score": 2.0}, {"_id": "a", "_score": 1.0}]
    assert [hit["_id"] for hit in in_order(found)] == ["c", "a", "b"]


def test_copies_are_chosen_by_the_question_alone():
    assert preference("年假") == preference("年假")
    assert preference("年假") != preference("工资")
    assert preference("_only_local").startswith("q")
    assert preference("_only_local").isalnum()


def test_min_score_drops_what_the_reranker_did_not_see():
    fused = hits("a", "b", "c", score=0.03)
    ranked = rerank(fused, {"b": 2.2, "a": -4.6})
    assert ids(ranked) == ["b", "a", "c"]

    def kept(min_score):
        options = SearchOptions(strategy="hybrid_rerank", min_score=min_score)
        return ids(above_threshold(state_of(ranked, options=options)).hits)

    assert kept(0.005) == ["b", "a"]
    assert kept(0.02) == ["b"]
    assert kept(None) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("offset", "shown", "following"), [(0, ["a", "b"], 2), (2, ["c", "d"], 4), (4, ["e"], None), (5, [], None)]
)
def test_the_end_is_told(offset, shown, following):
    every = hits("a", "b", "c", "d", "e")
    page = result(SearchOptions(top_k=2, offset=offset), every)
    assert (ids(page.hits), page.total, page.next_offset) == (shown, 5, following)


def test_an_exact_last_page_has_nothing_after_it():
    assert result(SearchOptions(top_k=2, offset=2), hits("a", "b", "c", "d")).next_offset is None


class Lengths:
    """Scores by what stands in the text, with many equal scores."""

    name = "fake/lengths"

    def score(self, query, texts):
        return [float(len(text) % 3) for text in texts]


def leg(name):
    rows = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), max_size=30, unique_by=lambda row: row[0])

    def ranking(rows):
        found = [{"_id": f"c{number}", "_score": float(score)} for number, score in rows]
        return [
            Hit(
                chunk_id=hit["_id"],
                score=hit["_score"],
                text=hit["_id"] * int(hit["_id"][1:]),
                legs={name: LegScore(rank=at, score=1.0)},
            )
            for at, hit in enumerate(in_order(found), start=1)
        ]

    return rows.map(ranking)


@given(
    bm25=leg("bm25"),
    text=leg("text_sem"),
    questions=leg("questions"),
    strategy=st.sampled_from(["hybrid", "hybrid_rerank", "dedup", "dense", "bm25"]),
    size=st.integers(1, 12),
    min_score=st.none() | st.sampled_from([0.02, 0.5, 0.8]),
)
def test_pages_put_together_are_the_one_long_page(bm25, text, questions, strategy, size, min_score):
    options = SearchOptions(strategy=strategy, top_k=size, min_score=min_score, rerank_top_n=10)

    def ask(options):
        fused = fuse({"bm25": bm25, "text_sem": text, "questions": questions}, options)
        state = state_of(fused, options=options)
        if "rerank" in strategy:
            state = rerank_stage(state, lambda: Reranker(Lengths()))
        return result(options, above_threshold(state).hits)

    pages = []
    offset = 0
    while offset is not None:
        page = ask(options.replace(offset=offset))
        pages += ids(page.hits)
        offset = page.next_offset
    long = ask(options.replace(top_k=1000))
    assert pages == ids(long.hits)
    assert len(set(pages)) == len(pages) == long.total
