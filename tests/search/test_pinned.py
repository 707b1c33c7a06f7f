from __future__ import annotations

from dataclasses import replace

import pytest
from elasticsearch import Elasticsearch

from bothways.core.access.groups import ADMIN, Access
from bothways.search.pinned import pinned
from bothways.search.pipeline import Searcher
from bothways.search.rank.rerank import Reranker
from tests.fakes import HashEncoder, OverlapCrossEncoder
from tests.search.states import COLLECTION


class Words:
    name = "a"


@pytest.fixture
def searcher():
    with Elasticsearch("http://127.0.0.1:9") as client:
        yield Searcher(client, Words(), HashEncoder, embedding_model="m")


def test_one_version_is_searched_and_the_other_searcher_stays_as_it_is(searcher):
    candidate = replace(COLLECTION, index="bothways-law-v2", reranker="/models/learnt")
    reranker = Reranker(OverlapCrossEncoder())
    one = pinned(searcher, candidate, reranker=lambda: reranker)
    assert one.versions.open("law") is candidate
    assert one.rerankers.of(candidate)() is reranker
    assert one.encoder is searcher.encoder
    assert searcher.versions is not one.versions
    assert searcher.reranker() is None


def test_what_a_caller_sees_of_a_pinned_searcher_is_pinned_too(searcher):
    access = Access(frozenset({"hr"}))
    assert not searcher.seen_by(access).sees_all
    one = pinned(searcher, COLLECTION).seen_by(access)
    assert one.versions.open("law") is COLLECTION
    assert not one.sees_all
    assert one.seen_by(ADMIN).sees_all
