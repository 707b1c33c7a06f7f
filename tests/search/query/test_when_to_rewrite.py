"""Signs and decisions worked out by hand, and rules that are read from files, broken ones too."""

from __future__ import annotations

import json
import math

import pytest

from bothways.core.errors import SettingsError
from bothways.core.results import Hit, LegScore
from bothways.core.settings import load_settings
from bothways.search.build import build_searcher
from bothways.search.query.when_to_rewrite import (
    ExpansionRule,
    Term,
    decide,
    load_rule,
    read_rule,
    signs,
    weakness,
)

MODEL = "BAAI/bge-small-zh-v1.5"


def leg(name, scores, first="c"):
    return [
        Hit(chunk_id=f"{first}{at}", score=s, legs={name: LegScore(rank=at + 1, score=s)})
        for at, s in enumerate(scores)
    ]


def falling(first, tenth, number=12):
    step = (first - tenth) / 9
    return [first - step * at for at in range(number)]


def rule(kind="gap", intercept=0.1, terms=None, strategy="hybrid"):
    return ExpansionRule(
        kind=kind,
        intercept=intercept,
        terms={"gap_10": Term(-1.0)} if terms is None else terms,
        strategy=strategy,
        embedding_model=MODEL,
    )


def test_signs_by_hand():
    bm25, dense = leg("bm25", falling(10, 1)), leg("text_sem", falling(0.9, 0.81))
    values = signs("水泵 过热", {"bm25": bm25, "text_sem": dense}, depth=12)
    assert values["length"] == pytest.approx(math.log(5))
    assert values["dense_top"] == pytest.approx(0.9)
    assert values["dense_gap"] == pytest.approx(0.09)
    # Ten scores 0.01 apart: their variance is 0.0001 · (10² - 1) / 12.
    assert values["dense_spread"] == pytest.approx(0.01 * math.sqrt(99 / 12))
    assert values["bm25_top"] == pytest.approx(10)
    assert values["bm25_gap"] == pytest.approx(0.9)
    assert values["bm25_spread"] == pytest.approx(math.sqrt(99 / 12) / 5.5)
    assert values["agreement"] == 1.0
    # Fused: .2 of BM25's fall as a share of its best, .8 of the vectors' as a share of .9 - .5.
    assert values["gap_10"] == pytest.approx(0.2 * 0.9 + 0.8 * 0.09 / 0.4)
    assert values["gap_2"] == pytest.approx(values["gap_10"] / 9)
    assert values["gap_5"] == pytest.approx(values["gap_10"] * 4 / 9)


def test_legs_that_agree_in_part():
    legs = {
        "bm25": leg("bm25", falling(10, 1)),
        "text_sem": [*leg("bm25", falling(10, 1))[:3], *leg("text_sem", [0.9] * 9, first="d")],
    }
    assert signs("问", legs, depth=12)["agreement"] == pytest.approx(0.3)
    legs["text_sem"] = leg("text_sem", falling(0.9, 0.8), first="other")
    assert signs("问", legs, depth=12)["agreement"] == 0


def test_of_few_hits_only_what_is_there_is_known():
    assert signs("问题", {}, depth=12).keys() == {"length"}
    few = {"bm25": leg("bm25", [3.0]), "text_sem": leg("text_sem", falling(0.9, 0.8))}
    assert not {"bm25_top", "bm25_gap", "bm25_spread"} & signs("问题", few, depth=12).keys()
    assert "gap_10" in signs("问题", few, depth=12)


@pytest.mark.parametrize("tenth", [0.9, 0.88, 0.86, 0.84, 0.7])
@pytest.mark.parametrize("bm25", [[], falling(10, 9)])
def test_without_a_rule_the_built_in_bound_decides(bm25, tenth):
    legs = {"bm25": leg("bm25", bm25), "text_sem": leg("text_sem", falling(0.9, tenth))}
    expansion = decide(None, "问题", legs, depth=12)
    assert (expansion.rule, expansion.score) == ("built-in", weakness(legs, depth=12))
    assert expansion.wanted == (expansion.score > 0)


def test_a_rule_decides_by_its_score():
    legs = {"bm25": leg("bm25", falling(10, 10)), "text_sem": leg("text_sem", falling(0.9, 0.86))}  # a gap of .08
    expansion = decide(rule(intercept=0.07), "问题", legs, depth=12)
    assert (expansion.wanted, expansion.rule) == (False, "gap")
    assert expansion.score == pytest.approx(-0.01)
    assert decide(rule(intercept=0.09), "问题", legs, depth=12).wanted is True
    assert decide(rule("always", 1.0, {}), "问题", legs, depth=12).wanted is True
    assert decide(rule("never", -1.0, {}), "问题", legs, depth=12).wanted is False
    scaled = rule("logistic", 0.5, {"gap_10": Term(2.0, mean=0.06, scale=0.02), "agreement": Term(-1.0)})
    assert decide(scaled, "问题", legs, depth=12).score == pytest.approx(0.5 + 2 * 0.02 / 0.02 - 1)


def test_where_a_rule_cannot_be_applied_the_built_in_bound_decides():
    dense = {"text_sem": leg("text_sem", falling(0.9, 0.7))}
    assert decide(rule(intercept=9.0), "问题", dense, depth=12).rule == "built-in"  # learnt with BM25
    assert decide(rule(intercept=9.0, strategy="dense"), "问题", dense, depth=12).rule == "gap"
    few = {"bm25": leg("bm25", [1.0]), "text_sem": leg("text_sem", [0.9] * 4)}
    expansion = decide(rule(intercept=9.0), "问题", few, depth=12)
    assert (expansion.wanted, expansion.rule, expansion.score) == (False, "built-in", None)


def test_words_alone_never_want_a_pseudo_document():
    legs = {"bm25": leg("bm25", falling(10, 10))}
    assert decide(rule("always", 1.0, {}), "问题", legs, depth=12).wanted is False


def test_a_rule_is_what_was_written(tmp_path):
    path = tmp_path / "rule.json"
    written = rule("logistic", -0.25, {"gap_10": Term(-1.5, 0.1, 0.04), "length": Term(0.5, 3.0, 0.4)})
    path.write_text(written.as_json(), "utf-8")
    assert read_rule(path) == written
    assert load_rule(load_settings(expansion_rule=path)) == written
    assert load_rule(load_settings()) is None


def broken(**changes):
    row = json.loads(rule().as_json())
    for name, value in changes.items():
        if value is None:
            del row[name]
        else:
            row[name] = value
    return json.dumps(row)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a rule"),
        ("[1]", "not a JSON object"),
        (broken(format=2), "its format is 2"),
        (broken(kind="forest"), "its kind is 'forest'"),
        (broken(intercept=None), "'intercept' is missing"),
        (broken(intercept="1"), "intercept is no number"),
        (broken(intercept=float("nan")), "intercept is no number"),
        (broken(intercept=True), "intercept is no number"),
        (broken(strategy="best"), "there is no strategy 'best'"),
        (broken(terms={"moon": {"weight": 1, "mean": 0, "scale": 1}}), "there is no sign 'moon'; there are length"),
        (broken(terms={"gap_10": {"weight": 1, "mean": 0, "scale": 0}}), "the scale of gap_10 is not above 0"),
        (broken(terms={"gap_10": {"weight": 1}}), "'mean' is missing"),
        (broken(terms={"gap_10": 3}), "is not a rule"),
        (broken(terms={}), "'gap' with 0 terms"),
    ],
)
def test_a_broken_rule_says_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "rule.json"
    path.write_text(content, "utf-8")
    with pytest.raises(SettingsError, match=message) as raised:
        read_rule(path)
    assert "BOTHWAYS_EXPANSION_RULE" in str(raised.value)


def test_a_rule_that_is_not_there_is_an_error_before_anything_is_searched(tmp_path):
    with pytest.raises(SettingsError, match=r"gone\.json cannot be read"):
        build_searcher(load_settings(expansion_rule=tmp_path / "gone.json", es_url="http://127.0.0.1:1"))


def test_a_rule_of_another_model_is_refused(tmp_path):
    path = tmp_path / "rule.json"
    path.write_text(rule().as_json(), "utf-8")
    with pytest.raises(SettingsError, match=r"learnt with the embedding model .* in use is 'other/model'"):
        load_rule(load_settings(expansion_rule=path, embedding_model="other/model"))


def is_weak(legs):
    return decide(None, "问", legs, depth=12).wanted


@pytest.mark.parametrize(
    ("tenth_bm25", "tenth_dense", "weak"),
    # The gap: .2 of what BM25 falls from 10, and .8 of what a vector's score falls from .9, counted from .5.
    [(10, 0.9, True), (6, 0.9, True), (4.9, 0.9, False), (10, 0.86, True), (10, 0.84, False), (1, 0.6, False)],
)
def test_questions_are_weak_where_no_hit_stands_out(tenth_bm25, tenth_dense, weak):
    legs = {"bm25": leg("bm25", falling(10, tenth_bm25)), "text_sem": leg("text_sem", falling(0.9, tenth_dense))}
    assert is_weak(legs) is weak


def test_vectors_alone_have_a_bound_of_their_own():
    assert is_weak({"text_sem": leg("text_sem", falling(0.9, 0.88))}) is True  # a gap of .05
    assert is_weak({"text_sem": leg("text_sem", falling(0.9, 0.868))}) is False  # of .08


def test_bm25_alone_is_never_weak():
    assert is_weak({"bm25": leg("bm25", [1.0] * 12)}) is False


def test_few_hits_are_never_weak():
    assert is_weak({"text_sem": leg("text_sem", [0.9] * 9)}) is False
    assert is_weak({"text_sem": leg("text_sem", [0.9] * 10)}) is True
    assert is_weak({}) is False
