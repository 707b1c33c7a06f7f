from __future__ import annotations

from dataclasses import replace

import numpy as np

from bothways.search.options import SearchOptions
from bothways.search.query.self_query.conditions import NOTHING, Understood
from bothways.search.retrieve.legs import leg_bodies
from tests.search.states import COLLECTION, state_of

VECTOR = np.array([0.6, 0.8], dtype=np.float32)
LAWS = replace(COLLECTION, metadata_fields=frozenset({"law"}))
CITED = {"terms": {"metadata.article": ["第一条"]}}


def searched(**known):
    options = SearchOptions(strategy="hybrid", leg_k=30, top_k=40, explain=True, filters={"law": "民法典"})
    return state_of(options=options, collection=LAWS, words=["违约"], text="违约", **known)


def test_every_leg_is_asked_for_the_same_number_of_hits_within_the_same_filters():
    bodies = leg_bodies(searched(vector=VECTOR), NOTHING)
    assert list(bodies) == ["bm25", "text_sem", "questions"]
    assert {body["size"] for body in bodies.values()} == {40}
    within = [{"terms": {"metadata.law": ["民法典"]}}]
    assert bodies["bm25"]["query"]["bool"]["filter"] == within
    assert bodies["text_sem"]["knn"]["filter"] == bodies["questions"]["knn"]["filter"] == within
    assert "inner_hits" in bodies["questions"]["knn"]
    assert "inner_hits" not in bodies["text_sem"]["knn"]


def test_without_a_vector_dense_legs_are_not_asked():
    assert list(leg_bodies(searched(), NOTHING)) == ["bm25"]


def test_what_a_question_cites_is_a_filter_in_which_no_word_must_match():
    bodies = leg_bodies(searched(vector=VECTOR), Understood(filters=[CITED]))
    assert bodies["bm25"]["query"]["bool"]["minimum_should_match"] == 0
    assert bodies["bm25"]["query"]["bool"]["filter"][1] == bodies["text_sem"]["knn"]["filter"][1] == CITED


def test_what_a_question_names_ranks_higher_in_bm25():
    query = leg_bodies(searched(vector=VECTOR), Understood(boosts=[CITED]))["bm25"]["query"]
    assert query["function_score"]["functions"] == [{"filter": CITED, "weight": 2.0}]
