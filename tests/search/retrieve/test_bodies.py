from __future__ import annotations

import numpy as np

from bothways.search.retrieve.bodies import MAX_WORDS, bm25_body, knn_body, msearch_lines


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


def test_boosts_multiply_and_a_filter_alone_can_be_enough():
    clause = {"terms": {"metadata.law": ["民法典"]}}
    scored = bm25_body(["a"], "a", k=3, boosts=[clause], boost=2.0)["query"]["function_score"]
    assert scored["functions"] == [{"filter": clause, "weight": 2.0}]
    assert (scored["score_mode"], scored["boost_mode"]) == ("max", "multiply")
    assert scored["query"]["bool"]["minimum_should_match"] == 1
    cited = bm25_body(["a"], "a", k=3, filters=[clause], all_filtered=True)["query"]["bool"]
    assert (cited["minimum_should_match"], cited["filter"]) == (0, [clause])


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
    assert msearch_lines({"bm25": {"size": 1}}, index="i", preference="q1")[0] == {"index": "i", "preference": "q1"}


def test_the_weight_of_the_bigrams():
    assert bm25_body(["a"], "a", k=3, weight_cjk=2)["query"]["bool"]["should"][1]["match"]["text_cjk"]["boost"] == 2
    assert "boost" not in bm25_body(["a"], "a", k=3)["query"]["bool"]["should"][1]["match"]["text_cjk"]


def test_rescoring_is_asked_for_or_left_to_the_server():
    body = knn_body([1.0], field="text_sem", k=3, num_candidates=10, oversample=2)
    assert body["knn"]["rescore_vector"] == {"oversample": 2}
    assert "rescore_vector" not in knn_body([1.0], field="text_sem", k=3, num_candidates=10)["knn"]


def test_a_character_alone_is_looked_for_in_pairs():
    body = bm25_body(["假"], "假", k=3)
    assert body["query"]["bool"]["should"][-1] == {
        "prefix": {"text_cjk": {"value": "假", "rewrite": "top_terms_blended_freqs_64"}}
    }
    for raw in ("请假", "E", "？", "\ud83d"):
        assert all("prefix" not in clause for clause in bm25_body([], raw, k=3)["query"]["bool"]["should"])
