"""Candidates with the search's scores, questions held out, and benches in memory."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from bothways.core.errors import UsageError
from bothways.core.results import Hit
from bothways.learning.encoder.data import (
    Corpus,
    allowed,
    bench_of_questions,
    choose,
    held_out,
    make_bench,
    mine_candidates,
)
from bothways.learning.leakage import LeakageFilter
from bothways.learning.reranker.data.groups import Question

TEXTS = {f"d{number}-0": f"text {number}" for number in range(6)}
CORPUS = Corpus(list(TEXTS), [chunk.partition("-")[0] for chunk in TEXTS], list(TEXTS.values()))


def asked(text, answer, *, kind="judged", others=()):
    return Question(
        key=f"k/{text}",
        text=text,
        kind=kind,
        source="s",
        collection="c",
        relevant=frozenset({answer, *others}),
        positive=Hit(chunk_id=f"{answer}-0", score=0.0, doc_id=answer),
    )


def hits(*documents):
    return [Hit(chunk_id=f"{name}-0", score=1 - 0.1 * rank, doc_id=name) for rank, name in enumerate(documents)]


def test_candidates_have_the_searchs_scores_and_no_other_answers():
    found = {"one": hits("d3", "d0", "d1", "d2"), "two": hits("d2", "d4"), "three": hits("d5")}
    ones = [asked("one", "d0", others={"d1"}), asked("two", "d5"), asked("three", "d5")]
    groups = mine_candidates(ones, lambda one: found[one.text], TEXTS, number=5, seed=1)
    first, second = groups
    assert first.positive == "text 0"
    assert dict(zip(first.passages, first.scores, strict=True)) == pytest.approx(
        {"text 0": 0.9, "text 3": 1.0, "text 2": 0.7}
    )
    assert second.scores[0] == pytest.approx(0.9), "an answer that was not found counts as the last that was"
    assert [group.query for group in groups] == ["one", "two"], "nothing beside the answer: nothing to learn"


def test_so_many_candidates_the_same_for_a_seed():
    def mined(seed):
        [group] = mine_candidates(
            [asked("one", "d0")], lambda _: hits("d1", "d2", "d3", "d4", "d5"), TEXTS, number=2, seed=seed
        )
        return group.negatives

    assert len(mined(1)) == 2
    assert mined(1) == mined(1)
    assert len({mined(seed) for seed in range(8)}) > 1


def test_what_models_are_judged_by_is_left_out_and_counted():
    counts: Counter[str] = Counter()
    kept = allowed([asked("合同 怎么 解除", "d0"), asked("别的问题", "d1")], LeakageFilter(["合同怎么解除？"]), counts)
    assert [one.text for one in kept] == ["别的问题"]
    assert counts == {"kept out: same": 1, "read": 1}


def test_a_question_is_held_out_however_it_is_written():
    texts = [f"question {number}" for number in range(1000)]
    assert 60 < sum(map(held_out, texts)) < 140
    assert [held_out(text) for text in texts] == [held_out(f"{text.upper()}?") for text in texts]
    every = [asked(text, "d0") for text in texts]
    learnt, kept = choose(every, at_most=100, seed=1)
    assert len(learnt) == 100
    assert not {one.text for one in learnt} & {one.text for one in kept}


def vectors(texts):
    """A text is its number on a circle."""
    angles = np.array([float(text.rpartition(" ")[2]) for text in texts]) / 10
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_a_bench_by_hand():
    bench = make_bench("b", CORPUS, [("q 0", {"d1"}), ("q 5", {"d5", "gone"})], queries=9, texts=99, seed=1)
    found = bench.measure(vectors, vectors)
    assert found["mrr@10"] == pytest.approx((1 / 2 + 1) / 2), "d0 before d1, then d5 first"
    assert found["ndcg@10"] == pytest.approx((1 / np.log2(3) + 1) / 2, abs=1e-4)
    assert found["map"] == pytest.approx(0.75)


def test_a_document_ranks_where_its_best_chunk_does():
    corpus = Corpus(["a-0", "b-0", "a-1"], ["a", "b", "a"], ["t 30", "t 1", "t 0"])
    bench = make_bench("b", corpus, [("q 0", {"a"})], queries=1, texts=9, seed=1)
    assert bench.measure(vectors, vectors)["mrr@10"] == 1.0


def test_a_small_bench_has_all_answers():
    bench = make_bench("b", CORPUS, [("q 0", {"d1"}), ("q 5", {"d5"})], queries=2, texts=3, seed=1)
    assert len(bench.texts) == 3
    assert {"d1", "d5"} < set(bench.doc_ids)
    with pytest.raises(UsageError, match="none of the 1 questions"):
        make_bench("b", CORPUS, [("q", {"gone"})], queries=2, texts=3, seed=1)


def test_peoples_questions_are_measured_where_there_are_some():
    people, pseudo = asked("q 1", "d1"), asked("q 2", "d2-0", kind="questions")
    size = {"queries": 9, "texts": 99, "seed": 1}
    assert list(bench_of_questions("b", CORPUS, [people, pseudo], **size).queries.values()) == ["q 1"]
    only = bench_of_questions("b", CORPUS, [pseudo], **size)
    assert list(only.judged.values()) == [{"d2": 1}], "a chunk that answers is its document"
