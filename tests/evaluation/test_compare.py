from __future__ import annotations

import pytest

from bothways.core.errors import EvaluationError
from bothways.evaluation.build import evaluate_runs
from bothways.evaluation.compare import compare_reports

QRELS = {f"q{at}": {"d": 1} for at in range(8)}


def run(right):
    return {f"q{at}": {"d": 1.0, "x": 0.5} if at in right else {"x": 1.0, "d": 0.5} for at in range(8)}


@pytest.fixture
def reports(tmp_path):
    evaluate_runs(QRELS, {"hybrid": run({0}), "bm25": run({0})}, out=tmp_path / "a")
    evaluate_runs(QRELS, {"hybrid": run({0, 1, 2, 3}), "bm25": run({0})}, out=tmp_path / "b")
    return tmp_path


def test_two_builds(reports):
    found = compare_reports(reports / "a" / "report.json", reports / "b", measure="mrr@10")
    hybrid, bm25 = found.comparisons
    assert (found.queries, found.only_first, found.only_second) == (8, 0, 0)
    assert (hybrid.name, hybrid.better, hybrid.worse, hybrid.equal) == ("hybrid", 3, 0, 5)
    assert hybrid.difference.mean == pytest.approx(3 * 0.5 / 8)
    assert (bm25.better, bm25.p) == (0, 1.0)
    assert {one.query_id for one in found.changed} == {"q1", "q2", "q3"}
    assert "| `hybrid` | +.188 |" in found.markdown()
    (group,) = found.by_length
    assert (group.label, group.queries) == ("1–10", 8)
    assert group.differences["hybrid"].mean == hybrid.difference.mean
    assert found.comparisons[0].name == "hybrid"


def test_queries_that_only_one_report_has_are_left_out_and_told(reports, tmp_path):
    evaluate_runs({"q0": {"d": 1}, "new": {"d": 1}}, {"hybrid": run({0})}, out=tmp_path / "c")
    found = compare_reports(reports / "a", tmp_path / "c")
    assert (found.queries, found.only_first, found.only_second) == (1, 7, 1)
    assert "7 queries only in the first" in found.markdown()


def test_what_cannot_be_compared(reports, tmp_path):
    with pytest.raises(EvaluationError, match="cannot be read as a report"):
        compare_reports(reports / "none", reports / "b")
    (tmp_path / "other.json").write_text("[1]")
    with pytest.raises(EvaluationError, match="is not a report"):
        compare_reports(tmp_path / "other.json", reports / "b")
    evaluate_runs(QRELS, {"dense": run({0})}, out=tmp_path / "d")
    with pytest.raises(EvaluationError, match="no strategy in common"):
        compare_reports(reports / "a", tmp_path / "d")
    evaluate_runs({"z": {"d": 1}}, {"hybrid": {"z": {"d": 1.0}}}, out=tmp_path / "e")
    with pytest.raises(EvaluationError, match="no query in common"):
        compare_reports(reports / "a", tmp_path / "e")
    with pytest.raises(EvaluationError, match="lacks 'ndcg@99'"):
        compare_reports(reports / "a", reports / "b", measure="ndcg@99")


def test_a_report_without_its_rows(reports):
    (reports / "b" / "per_query.jsonl").write_text('{"query_id": "q0"}\n{oops\n')
    with pytest.raises(EvaluationError, match="line 2: not a query's row"):
        compare_reports(reports / "a", reports / "b")
    (reports / "b" / "per_query.jsonl").unlink()
    with pytest.raises(EvaluationError, match=r"per_query\.jsonl cannot be read"):
        compare_reports(reports / "a", reports / "b")
