from __future__ import annotations

import pytest

from bothways.core.errors import EvaluationError
from bothways.evaluation.judged.qrels import load_qrels, load_run, qrels_lines, run_lines


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_trec_qrels(tmp_path):
    assert load_qrels(write(tmp_path / "q", "q1 0 d1 1\nq1 0 d2 0\n")) == {"q1": {"d1": 1, "d2": 0}}


def test_malformed_qrels(tmp_path):
    with pytest.raises(EvaluationError, match="line 2"):
        load_qrels(write(tmp_path / "q", "query-id\tcorpus-id\tscore\nq1 d1\n"))


def test_empty_qrels(tmp_path):
    with pytest.raises(EvaluationError, match="no judgement"):
        load_qrels(write(tmp_path / "q", "query-id\tcorpus-id\tscore\n"))


def test_runs_and_qrels_are_read_as_they_were_written(tmp_path):
    ranking = {"d 2": 1.0, "d1": 0.5}
    run = write(tmp_path / "run", "".join(run_lines("q 1", ranking, "bothways-bm25")))
    assert run.read_text() == "q_1 Q0 d_2 1 1.000000 bothways-bm25\nq_1 Q0 d1 2 0.500000 bothways-bm25\n"
    assert load_run(run) == {"q_1": {"d_2": 1.0, "d1": 0.5}}
    qrels = write(tmp_path / "qrels", "".join(qrels_lines("q 1", {"d1": 2})))
    assert load_qrels(qrels) == {"q_1": {"d1": 2}}


@pytest.mark.parametrize("line", ["q1 Q0 d1 1 x tag", "q1 d1 1.0"])
def test_malformed_runs(tmp_path, line):
    with pytest.raises(EvaluationError, match="line 2: not a line of a TREC run"):
        load_run(write(tmp_path / "run", f"q1 Q0 d1 1 0.5 tag\n{line}\n"))


def test_an_empty_run(tmp_path):
    with pytest.raises(EvaluationError, match="no ranking"):
        load_run(write(tmp_path / "run", "\n"))
