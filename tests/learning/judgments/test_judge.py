"""What ranks are worth, what clicks prove, and what is written of it; expected values are worked out by hand."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from bothways.evaluation.judged.queries import load_queries
from bothways.learning.judgments.clicks import Tally
from bothways.learning.judgments.evidence import DEEPEST, Evidence, Ledger
from bothways.learning.judgments.files import Outcome, documents_of, query_id, write_judgments
from bothways.learning.judgments.judge import _GRID, JudgmentThresholds, judge, posterior
from bothways.learning.judgments.propensity import (
    FLOOR,
    Propensities,
    accidental,
    as_table,
    estimate,
    relevance_by_propensity,
)

HALF = Propensities((1.0, 0.5) + (0.25,) * (DEEPEST - 2), (0,) * DEEPEST)
HOURS = {"h1", "h2", "h3"}


def evidence(seen, clicked=None, **more):
    more.setdefault("high", more.get("passed_over", 0))
    return Evidence(doc_id=more.pop("doc_id", "d"), seen=Counter(seen), clicked=Counter(clicked or {}), **more)


def test_without_swaps_the_fixed_curve_stands():
    found = estimate([evidence({1: 1000}, {1: 500}), evidence({2: 1000}, {2: 10})])
    assert found.by_rank == pytest.approx([1 / rank for rank in range(1, DEEPEST + 1)])
    assert not found.is_learnt
    assert (found.at(1), found.at(2), found.at(10), found.at(500)) == (1.0, 0.5, FLOOR, FLOOR)


def test_propensities_are_found_where_pairs_change_places():
    """Looked at with 1, .7, .4; chosen with .8 and .3: each pair 20,000 times at each rank, exactly as expected."""
    looked, chosen = {1: 1.0, 2: 0.7, 3: 0.4}, (0.8, 0.3)
    pairs = [
        evidence(dict.fromkeys(looked, 20_000), {rank: round(20_000 * p * q) for rank, p in looked.items()})
        for q in chosen
    ]
    found = estimate(pairs)
    assert found.by_rank[:3] == pytest.approx((1.0, 0.7, 0.4), abs=0.003)
    assert found.by_rank[3] == 0.25  # nobody saw it
    assert found.is_learnt
    assert as_table(found)[2] == {"rank": 3, "looked_at": pytest.approx(0.4, abs=0.003), "learnt_from": 40_000}


def test_the_fixed_curve_weighs_a_hundred_impressions():
    """One pair, always chosen when looked at: 100 of 100 at rank 1, and at rank 2 as often as the curve says."""
    found = estimate([evidence({1: 100, 2: 100}, {1: 100, 2: 50})])
    assert found.by_rank[1] == pytest.approx(0.5, abs=0.01)
    often = estimate([evidence({1: 100, 2: 100}, {1: 100, 2: 100})])
    assert often.by_rank[1] == pytest.approx((100 + 50) / 200, abs=0.01)


def test_estimates_do_not_break_on_extremes():
    for clicked in ({}, {1: 5, 2: 5}):
        found = estimate([evidence({1: 5, 2: 5}, clicked)])
        assert all(0 < one <= 1 for one in found.by_rank)


def test_relevance_by_propensity():
    # Two clicks weigh 1, one 2 and one 4: 8 in ten impressions.
    assert relevance_by_propensity(evidence({1: 4, 2: 3, 3: 3}, {1: 2, 2: 1, 3: 1}), HALF) == pytest.approx(0.8)
    assert relevance_by_propensity(evidence({}), HALF) == 0.0


@pytest.mark.parametrize(
    ("one", "mean"),
    [
        (evidence({}), 1 / 2),
        (evidence({1: 1}, {1: 1}), 2 / 3),  # Beta(2, 1)
        (evidence({1: 1}), 1 / 3),  # Beta(1, 2)
        (evidence({2: 1}), 4 / 9),  # (1 - x/2): (1/2 - 1/6) / (1 - 1/4)
        (evidence({2: 1}, {2: 1}), 2 / 3),  # a click was looked at, wherever it stood
        (evidence({}, ups=1), 4 / 5),  # Beta(4, 1)
        (evidence({}, downs=1), 1 / 5),  # Beta(1, 4)
    ],
)
def test_the_posterior(one, mean):
    weight = posterior(one, HALF, (1.0, 1.0))
    assert weight.sum() == pytest.approx(1)
    assert weight @ _GRID == pytest.approx(mean, abs=1e-4)


def verdict_of(one, thresholds=None, rival=None):
    """Judge a chunk beside another one, which is an answer for certain."""
    both = {("q", "c-0"): one, ("q", "rival"): rival or evidence({1: 30}, {1: 30})}
    ledger = Ledger(both, {"q": Counter({"见死不救犯法吗": 1})})
    (judged,) = (one for one in judge(ledger, thresholds, HALF).judgments if one.chunk_id == "c-0")
    return judged.verdict, judged.reason.split(":")[0]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (evidence({1: 10}, {1: 9}, hours_for=HOURS), ("positive", "9 for it, 0 against it; chosen with a probability")),
        (evidence({1: 4}, {1: 4}, hours_for=HOURS), ("undecided", "little evidence")),
        (evidence({1: 10}, {1: 9}, hours_for={"h1", "h2"}), ("undecided", "few hours")),
        (evidence({1: 100}, {1: 20}, hours_for=HOURS), ("undecided", "uncertain")),
        (evidence({1: 10}, {1: 6}, hours_for=HOURS), ("undecided", "uncertain")),
        (evidence({}, ups=2, hours_for=HOURS), ("positive", "6 for it")),
        (evidence({1: 10}, passed_over=10, hours_against=HOURS), ("negative", "passed over 10 times, chosen 0 times")),
        (evidence({1: 10}, passed_over=10, hours_against={"h1"}), ("undecided", "few hours")),
        (evidence({1: 4}, passed_over=4, hours_against=HOURS), ("undecided", "little evidence")),
        (evidence({1: 10}, {1: 5}, passed_over=5, hours_for=HOURS, hours_against=HOURS), ("undecided", "contested")),
        (evidence({1: 2}, downs=2, hours_against=HOURS), ("negative", "passed over 6 times")),
        (evidence({8: 10}, passed_over=10, high=4, hours_against=HOURS), ("undecided", "little evidence high up")),
        # Chosen far down as often as users look there by the curve, and passed over nearly as often.
        (evidence({9: 30}, {9: 9}, passed_over=8, hours_for=HOURS), ("undecided", "contested")),
        # Clicked far down, and passed over as often where it stood high: no certain answer.
        (
            evidence({1: 6, 9: 6}, {9: 5}, passed_over=6, hours_for=HOURS, hours_against=HOURS),
            ("undecided", "contested"),
        ),
    ],
)
def test_verdicts(one, expected):
    verdict, reason = verdict_of(one)
    assert verdict == expected[0]
    assert reason.startswith(expected[1])


def test_a_non_answer_needs_something_better_beside_it():
    """Where users choose nothing, or anything, for certain, the question is at fault, or they are."""
    passed = evidence({1: 10}, passed_over=10, hours_against=HOURS)
    for rival in (evidence({1: 10}, {1: 2}), evidence({2: 10})):
        verdict, reason = verdict_of(passed, rival=rival)
        assert (verdict, reason) == ("undecided", "nothing better")


def test_clicks_are_worth_nothing_where_as_many_come_by_accident():
    """Two of ten hits of every rank are clicked: half of what looks like a choice may be none."""
    noisy = Propensities(HALF.by_rank, HALF.impressions, by_accident=0.2)
    one = evidence({3: 10}, {3: 2})
    assert relevance_by_propensity(one, noisy) == 0.0
    assert relevance_by_propensity(one, HALF) == pytest.approx(0.8)
    assert posterior(one, noisy, (1.0, 1.0)) @ _GRID < posterior(one, HALF, (1.0, 1.0)) @ _GRID - 0.1


def test_a_click_by_accident_or_not():
    """At rank 1, with half of all hits clicked by accident: 1 - .5 (1 - x), so (1/4 + 1/6) / (1/2 + 1/4)."""
    noisy = Propensities(HALF.by_rank, HALF.impressions, by_accident=0.5)
    assert posterior(evidence({1: 1}, {1: 1}), noisy, (1.0, 1.0)) @ _GRID == pytest.approx(5 / 9, abs=1e-4)


def test_accidents_are_measured_at_the_last_ranks():
    # Below the first rank 100 impressions: the last fifth of them are ranks 9 and 10.
    shown = evidence({1: 50, 2: 80, 9: 10, 10: 10}, {1: 40, 2: 40, 9: 1, 10: 2})
    assert accidental([shown]) == pytest.approx(3 / 20)
    assert accidental([evidence({1: 50}, {1: 40})]) == 0.0
    assert accidental([]) == 0.0


def test_bounds_can_be_set():
    assert (
        verdict_of(evidence({1: 3}, {1: 3}, hours_for={"h"}), JudgmentThresholds(evidence=3, hours=1, credible=0.8))[0]
        == "positive"
    )


def outcome_of(*entries):
    """An outcome of (question, text, chunk, evidence)."""
    ledger = Ledger()
    for query, text, chunk, one in entries:
        ledger.evidence[query, chunk] = one
        ledger.texts[query] = Counter([text] if text else [])
    return Outcome(
        collection="law",
        since="",
        until="2027-01-15",
        judged=judge(ledger, None, HALF),
        tally=Tally(),
        too_many=0,
        thresholds=JudgmentThresholds(),
    )


def good(doc_id):
    return evidence({1: 10}, {1: 10}, doc_id=doc_id, hours_for=HOURS)


def undecided(doc_id):
    """Chosen often, and all of it in one hour."""
    return evidence({1: 10}, {1: 10}, doc_id=doc_id, hours_for={"h1"})


def bad(doc_id):
    return evidence({1: 10}, passed_over=10, doc_id=doc_id, hours_against=HOURS)


def test_files_are_what_evaluation_reads(tmp_path):
    outcome = outcome_of(
        ("见死不救犯法吗", "见死不救犯法吗？", "a-0", good("a")),
        ("见死不救犯法吗", "见死不救犯法吗？", "a-1", bad("a")),  # another chunk of the same document is the answer
        ("见死不救犯法吗", "见死不救犯法吗？", "b-0", bad("b")),
        ("年假", "年假|x\n# y", "c-0", bad("c")),
        ("年假", "年假|x\n# y", "c-1", undecided("c")),
        ("f00", None, "d-0", good("d")),
        ("e", "e", "e-0", good("with blank")),
    )
    report = write_judgments(outcome, tmp_path / "out")
    (query,) = load_queries(tmp_path / "out" / "queries.jsonl")
    assert (query.text, query.relevant) == ("见死不救犯法吗？", {"a": 1, "b": 0})
    assert query.query_id == query_id("见死不救犯法吗")
    assert (report["positives"], report["negatives"], report["queries"]) == (3, 3, 1)
    assert report["not_in_qrels"] == {
        "questions with non-answers alone": 1,
        "questions whose words are not kept": 1,
        "documents whose id has blanks": 1,
    }
    assert json.loads((tmp_path / "out" / "report.json").read_text("utf-8")) == report
    lines = (tmp_path / "out" / "judgments.jsonl").read_text("utf-8").splitlines()
    rows = {row["chunk_id"]: row for row in map(json.loads, lines)}
    assert len(rows) == 7
    assert rows["b-0"]["verdict"] == "negative"
    assert rows["b-0"]["passed_over"] == 10
    told = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert "| 年假\\|x # y | c-0 |" in told  # what a stranger typed is one cell


def test_a_document_with_an_answer_and_a_vote_against_another_chunk_is_an_answer():
    judged = outcome_of(("q", "q", "a-0", bad("a")), ("q", "q", "a-1", good("a"))).judged
    assert documents_of(judged.judgments) == {"a": 1}


def test_nothing_to_judge(tmp_path):
    report = write_judgments(outcome_of(), tmp_path)
    assert (report["queries"], report["positives"], report["undecided"]) == (0, 0, {})
    assert (tmp_path / "qrels.tsv").read_text("utf-8") == "query-id\tcorpus-id\tscore\n"


def test_intervals_narrow_with_evidence():
    def width(times):
        ledger = Ledger({("q", "c"): evidence({1: times}, {1: times // 2})}, {"q": Counter({"q": 1})})
        (one,) = judge(ledger, None, HALF).judgments
        assert one.low < one.relevance < one.high
        return one.high - one.low

    widths = [width(times) for times in (4, 16, 64, 256)]
    assert widths == sorted(widths, reverse=True)
    assert np.isclose(widths[-1], 2 * 1.645 * np.sqrt(0.25 / 258), atol=0.01)  # as the normal approximation has it
