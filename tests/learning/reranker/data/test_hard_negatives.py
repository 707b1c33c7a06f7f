"""Negatives of rankings that are written by hand: who may be one, and who is taken."""

from __future__ import annotations

import random
from collections import Counter

from bothways.core.results import Hit, LegScore
from bothways.learning.reranker.data.hard_negatives import choose_negatives

TEXTS = {
    "good": "物业服务人应当维护业主的安全",
    "copy": "物业服务人应当维护业主的安全。",
    "near": "业主可以依法聘请物业",
    "far": "公司应当支付劳动报酬",
    "other": "夫妻应当互相忠实互相尊重",
    "words": "违反本法规定的处以罚款",
}


def hit(name, leg, rank, cosine=0.0):
    score = (1 + cosine) / 2
    return Hit(
        chunk_id=name, score=score, doc_id=f"doc-{name}", text=TEXTS[name], legs={leg: LegScore(rank=rank, score=score)}
    )


LEGS = {
    "bm25": [hit("words", "bm25", 1), hit("good", "bm25", 2)],
    "text_sem": [
        hit("near", "text_sem", 1, 0.79),
        hit("good", "text_sem", 2, 0.8),
        hit("copy", "text_sem", 3, 0.6),
        hit("other", "text_sem", 4, 0.4),
        hit("far", "text_sem", 5, 0.3),
    ],
}
POSITIVE = LEGS["text_sem"][1]


def chosen(legs=LEGS, *, number=10, relevant=frozenset({"good"}), depth=30, margin=0.95, seed=1):
    return choose_negatives(
        legs,
        POSITIVE,
        relevant=relevant,
        number=number,
        depth=depth,
        margin=margin,
        rng=random.Random(seed),
    )


def names(found):
    return {one.chunk_id for one in found.hits}


def test_answers_copies_and_what_is_as_near_are_left_out():
    """0.79 is above 0.95 * 0.8 = 0.76; 0.4 and 0.3 are below; a hit of BM25 alone has no cosine."""
    found = chosen()
    assert names(found) == {"words", "other", "far"}
    assert found.left_out == Counter({"an answer": 1, "a copy of the answer": 1, "too near": 1})


def test_a_wider_margin_lets_what_is_as_near_be_a_negative():
    assert names(chosen(margin=1.1)) == {"words", "other", "far", "near"}


def test_other_answers_are_no_negatives_by_chunk_or_by_document():
    assert names(chosen(relevant=frozenset({"good", "other"}))) == {"words", "far"}
    assert names(chosen(relevant=frozenset({"doc-good", "doc-other"}))) == {"words", "far"}


def test_an_answer_that_is_not_among_the_nearest_is_as_near_as_the_last_at_most():
    legs = {"text_sem": [one for one in LEGS["text_sem"] if one.chunk_id != "good"]}
    assert names(chosen(legs)) == set(), "0.95 of the last cosine, 0.3: all are above it"


def test_legs_take_turns():
    for seed in range(20):
        found = [one.chunk_id for one in chosen(number=2, seed=seed).hits]
        assert found[0] == "words"
        assert found[1] in {"other", "far"}


def test_upper_ranks_are_taken_more_often_and_the_seed_decides():
    first = Counter(chosen({"text_sem": LEGS["text_sem"]}, number=1, seed=seed).hits[0].chunk_id for seed in range(300))
    assert first["other"] > first["far"] > 0  # 1/√4 to 1/√5: 53 % to 47 %
    assert chosen(seed=3).hits == chosen(seed=3).hits


def test_depth():
    assert names(chosen(depth=4)) == {"words", "other"}


def test_equal_passages_are_taken_once():
    twin = Hit(
        chunk_id="twin",
        score=0.5,
        doc_id="doc-twin",
        text=TEXTS["words"],
        legs={"questions": LegScore(rank=1, score=0.5)},
    )
    assert len(chosen({**LEGS, "questions": [twin]}).hits) == 3
