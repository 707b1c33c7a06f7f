from __future__ import annotations

import pytest

from bothways.core.errors import EvaluationError
from bothways.evaluation.judged.queries import JudgedQuery, load_queries, load_texts, split_of, take_split


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_gold_by_metadata(tmp_path):
    line = (
        '{"sample_id": "s1", "tag": "t", "query": "问", "gold": {"source_path": "x\\\\y", "law": "L", "article": 5}}\n'
    )
    (query,) = load_queries(write(tmp_path / "q.jsonl", line))
    assert (query.query_id, query.text, query.labels) == ("s1", "问", {"tag": "t"})
    assert query.gold == {"law": "L", "article": "5"}


def test_beir(tmp_path):
    queries = write(tmp_path / "queries.jsonl", '{"_id": "q1", "text": "a"}\n\n{"_id": "q2", "text": "b"}\n')
    qrels = write(tmp_path / "qrels.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t2\n")
    (query,) = load_queries(queries, qrels)
    assert query.relevant == {"d1": 1, "d2": 2}
    assert load_queries(tmp_path) == [query]


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


def test_labels_are_the_single_values_beside_the_question(tmp_path):
    line = '{"_id": "q1", "text": "a", "metadata": {"kind": "vague"}, "year": 2024, "notes": ["x"]}\n'
    queries = write(tmp_path / "queries.jsonl", line)
    (query,) = load_queries(queries, write(tmp_path / "qrels.tsv", "q1\td1\t1\n"))
    assert query.labels == {"kind": "vague", "year": "2024"}


def test_a_file_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text('{"query": "a", "gold": {"law": "L"}}\n', encoding="utf-8-sig")
    assert len(load_queries(path)) == 1


def test_texts_need_no_judgement(tmp_path):
    path = write(tmp_path / "q.jsonl", '{"text": "a"}\n{"query": "b"}\n')
    assert load_texts(path) == ["a", "b"]
    with pytest.raises(EvaluationError, match="line 1"):
        load_texts(write(tmp_path / "q.jsonl", '{"text": " "}\n'))


def test_a_fifth_of_the_queries_is_dev_whatever_their_order():
    queries = [JudgedQuery(query_id=f"q{number:04}", text="a") for number in range(1000)]
    dev, train = take_split(queries, "dev"), take_split(queries, "train")
    assert 160 < len(dev) < 240
    assert {q.query_id for q in dev} | {q.query_id for q in train} == {q.query_id for q in queries}
    assert len(dev) + len(train) == 1000
    assert take_split(queries[::-1], "dev") == dev[::-1]
    assert take_split(queries, None) == queries


def test_the_split_does_not_change():
    # Figures are reported by it: sha1("q0023") begins with a number that 5 divides.
    assert [split_of(query_id) for query_id in ("q0000", "q0023", "q0038")] == ["train", "dev", "dev"]


def test_an_empty_split_is_refused():
    with pytest.raises(EvaluationError, match="None of the 1 queries"):
        take_split([JudgedQuery(query_id="q0000", text="a")], "dev")
