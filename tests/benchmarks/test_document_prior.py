"""The baseline of a reranker: works whose passages were the answer before come first."""

import pytest

from benchmarks.search.document_prior import Asked, Prior, choose_weight, ranked, work_of
from bothways.core.results import Hit
from bothways.evaluation.judged.queries import JudgedQuery


def asked(name, answer, *ids):
    hits = [
        Hit(chunk_id=f"{doc}-0", score=1 - 0.1 * at, doc_id=doc, title=f"{doc[0]}法第{doc[1]}条")
        for at, doc in enumerate(ids)
    ]
    return Asked(JudgedQuery(query_id=name, text=name, relevant={answer: 1}), hits)


def test_a_work_is_the_title_before_the_number():
    assert work_of(Hit(chunk_id="1", score=1.0, title="劳动合同法第二十七条")) == "劳动合同法"
    assert work_of(Hit(chunk_id="1", score=1.0, doc_id="a.md", title="")) == "a.md"


def test_what_was_the_answer_before_comes_first():
    learnt = [asked(f"q{number}", "乙一", "甲一", "乙一") for number in range(8)]
    prior = Prior()
    for one in learnt:
        prior.add(one)
    assert ranked(learnt[0], prior, 0.0) == ["甲一", "乙一"]
    weight = choose_weight(learnt, prior)
    assert weight > 0
    assert ranked(asked("new", "乙二", "甲二", "乙二"), prior, weight) == ["乙二", "甲二"]
    assert prior.of(Hit(chunk_id="1", score=1.0, title="丙法第一条")) == pytest.approx(-2.9957, abs=1e-3)


def test_a_query_does_not_choose_by_its_own_answer():
    only, prior = asked("q", "乙一", "甲一", "乙一"), Prior()
    prior.add(only)
    assert ranked(only, prior, 0.15) == ["乙一", "甲一"], "counting itself it would gain"
    assert choose_weight([only], prior) == 0.0
    assert prior.shown["甲法"] == 1, "what was taken out for a moment is back"
