from __future__ import annotations

import numpy as np
import pytest

from core.errors import UnknownFieldError, UsageError
from search.bodies import MAX_WORDS, bm25_body, filter_clauses, knn_body, msearch_lines


def test_filters_are_terms_on_metadata():
    clauses = filter_clauses(
        {"law": "民法典", "metadata.book": ["一", "二"], "source": "a.txt"}, fields=["law", "book"]
    )
    assert clauses == [
        {"terms": {"metadata.law": ["民法典"]}},
        {"terms": {"metadata.book": ["一", "二"]}},
        {"terms": {"source": ["a.txt"]}},
    ]


def test_numbers_and_booleans_become_what_the_readers_write():
    assert filter_clauses({"n": 3, "b": True}, fields=["n", "b"]) == [
        {"terms": {"metadata.n": ["3"]}},
        {"terms": {"metadata.b": ["true"]}},
    ]


def test_an_unknown_field_is_refused_with_what_there_is():
    with pytest.raises(UnknownFieldError, match=r"'lww'.*law"):
        filter_clauses({"lww": "x"}, fields=["law"])


def test_an_internal_field_cannot_be_filtered_by():
    with pytest.raises(UnknownFieldError):
        filter_clauses({"origin": "/etc"}, fields=["law"])


def test_a_filter_without_values_is_refused():
    with pytest.raises(UsageError, match="no value"):
        filter_clauses({"law": []}, fields=["law"])


def test_query_syntax_stays_text():
    hostile = 'a" OR * AND (x:y) {"match_all":{}}'
    body = bm25_body(["a", "or"], hostile, k=3)
    kw, cjk = body["query"]["bool"]["should"]
    assert kw == {"match": {"text_kw": {"query": "a or"}}}
    assert cjk == {"match": {"text_cjk": {"query": hostile}}}


def test_a_long_query_is_bounded():
    body = bm25_body(["词"] * 5000, "字" * 10_000, k=3)
    kw, cjk = body["query"]["bool"]["should"]
    assert len(kw["match"]["text_kw"]["query"].split()) == MAX_WORDS
    assert len(cjk["match"]["text_cjk"]["query"]) == 2 * MAX_WORDS


def test_without_words_only_the_bigrams_are_asked():
    assert len(bm25_body([], "？？", k=3)["query"]["bool"]["should"]) == 1


def test_knn_filters_inside_and_asks_for_the_matched_question_only_on_request():
    vector = np.array([0.6, 0.8], dtype=np.float32)
    body = knn_body(vector, field="questions.text_sem", k=30, num_candidates=10, filters=[{"term": {"a": "b"}}])
    assert body["knn"]["query_vector"] is vector
    assert body["knn"]["num_candidates"] == 30
    assert body["knn"]["filter"] == [{"term": {"a": "b"}}]
    assert "inner_hits" not in body["knn"]
    asked = knn_body(vector, field="questions.text_sem", k=30, num_candidates=100, matched=True)
    assert asked["knn"]["inner_hits"]["size"] == 1


def test_msearch_has_a_header_and_a_body_a_leg():
    lines = msearch_lines({"bm25": {"size": 1}, "text_sem": {"size": 2}}, index="i")
    assert lines == [{"index": "i"}, {"size": 1}, {"index": "i"}, {"size": 2}]


def test_a_character_alone_is_looked_for_in_pairs():
    body = bm25_body(["假"], "假", k=3)
    assert body["query"]["bool"]["should"][-1] == {
        "prefix": {"text_cjk": {"value": "假", "rewrite": "top_terms_blended_freqs_64"}}
    }
    for raw in ("请假", "E", "？", "\ud83d"):
        assert all("prefix" not in clause for clause in bm25_body([], raw, k=3)["query"]["bool"]["should"])
