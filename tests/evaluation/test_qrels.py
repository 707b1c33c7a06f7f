from __future__ import annotations

import pytest

from core.errors import EvaluationError
from evaluation.qrels import load_qrels, load_queries


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_gold_by_metadata(tmp_path):
    line = (
        '{"sample_id": "s1", "tag": "t", "query": "问", "gold": {"source_path": "x\\\\y", "law": "L", "article": 5}}\n'
    )
    (query,) = load_queries(write(tmp_path / "q.jsonl", line))
    assert (query.query_id, query.text, query.tag) == ("s1", "问", "t")
    assert query.gold == {"law": "L", "article": "5"}


def test_beir(tmp_path):
    queries = write(tmp_path / "queries.jsonl", '{"_id": "q1", "text": "a"}\n\n{"_id": "q2", "text": "b"}\n')
    qrels = write(tmp_path / "qrels.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t2\n")
    (query,) = load_queries(queries, qrels)
    assert query.relevant == {"d1": 1, "d2": 2}
    assert load_queries(tmp_path) == [query]


def test_trec_qrels(tmp_path):
    assert load_qrels(write(tmp_path / "q", "q1 0 d1 1\nq1 0 d2 0\n")) == {"q1": {"d1": 1, "d2": 0}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no query"),
        ('{"query": "a", "gold": {"law": "L"}}\n{oops\n', "line 2: not JSON"),
        ('["a"]\n', "line 1: not a JSON object"),
        ('{"query": "a"}\n', 'line 1: needs a "query" and a "gold"'),
        ('{"query": "a", "gold": {"source_path": "p"}}\n', "line 1: the gold has no key"),
    ],
)
def test_malformed_queries(tmp_path, text, message):
    with pytest.raises(EvaluationError, match=message):
        load_queries(write(tmp_path / "q.jsonl", text))


def test_malformed_qrels(tmp_path):
    with pytest.raises(EvaluationError, match="line 2"):
        load_qrels(write(tmp_path / "q", "query-id\tcorpus-id\tscore\nq1 d1\n"))


def test_missing_file(tmp_path):
    with pytest.raises(EvaluationError, match="cannot be read"):
        load_queries(tmp_path / "none.jsonl")


def test_binary_file(tmp_path):
    (tmp_path / "q.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EvaluationError, match="cannot be read"):
        load_queries(tmp_path / "q.jsonl")


def test_nothing_judged(tmp_path):
    queries = write(tmp_path / "queries.jsonl", '{"_id": "q9", "text": "a"}\n')
    qrels = write(tmp_path / "qrels.tsv", "q1\td1\t1\n")
    with pytest.raises(EvaluationError, match="None of the 1 queries"):
        load_queries(queries, qrels)


def test_two_queries_of_one_id_are_refused(tmp_path):
    queries = write(tmp_path / "queries.jsonl", '{"_id": "q1", "text": "a"}\n{"_id": "q1", "text": "b"}\n')
    with pytest.raises(EvaluationError, match="more than one query has the id 'q1'"):
        load_queries(queries, write(tmp_path / "qrels.tsv", "q1\td1\t1\n"))
