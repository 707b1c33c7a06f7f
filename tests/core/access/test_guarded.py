from __future__ import annotations

import numpy as np
import pytest
from elasticsearch import Elasticsearch

from bothways.core.access.groups import ADMIN, Access, visible
from bothways.core.access.guarded import GuardedClient, guarded
from bothways.core.access.restricted import restricted
from bothways.core.errors import AccessError

HR = Access(frozenset({"hr"}))
ONLY = {"terms": {"metadata.groups": ["hr"]}}
NO_GROUPS = {"excludes": ["metadata.groups"]}


def test_what_a_caller_may_see():
    assert visible("groups", ADMIN) is None
    assert visible("", HR) is None
    assert visible("groups", Access(frozenset({"legal", "hr"}))) == {"terms": {"metadata.groups": ["hr", "legal"]}}
    assert visible("groups", Access(frozenset())) == {"match_none": {}}


def test_the_filter_goes_into_the_query():
    body = {"query": {"match": {"text_kw": {"query": "a"}}}, "size": 3, "_source": ["title", "metadata"]}
    assert restricted(body, "groups", HR) == {
        "query": {"bool": {"must": [{"match": {"text_kw": {"query": "a"}}}], "filter": [ONLY]}},
        "size": 3,
        "_source": {"includes": ["title", "metadata"], "excludes": ["metadata.groups"]},
    }
    assert restricted(body, "groups", ADMIN) == body
    assert restricted(body, "", HR) == body


def test_the_filter_goes_into_every_knn_search():
    vector = np.ones(2, dtype=np.float32)
    one = {"field": "text_sem", "query_vector": vector, "k": 3, "filter": [{"term": {"a": "b"}}]}
    other = {"field": "questions.text_sem", "query_vector": vector, "k": 3, "filter": {"term": {"a": "b"}}}
    changed = restricted({"knn": [one, other]}, "groups", HR)
    assert [search["filter"] for search in changed["knn"]] == [[{"term": {"a": "b"}}, ONLY]] * 2
    assert "query" not in changed
    alone = restricted({"knn": {"field": "text_sem", "query_vector": vector, "k": 3}, "size": 1}, "groups", HR)
    assert [search["filter"] for search in alone["knn"]] == [[ONLY]]
    assert one["filter"] == [{"term": {"a": "b"}}]


def test_a_body_without_a_query_is_filtered_too():
    body = {"size": 0, "aggs": {"laws": {"terms": {"field": "metadata.law"}}}}
    assert restricted(body, "groups", HR)["query"] == {"bool": {"must": [], "filter": [ONLY]}}


def test_nested_sources_lose_the_groups_too():
    first = {"top_hits": {"size": 1, "_source": ["title", "metadata"]}}
    body = {"size": 0, "_source": False, "aggs": {"d": {"terms": {"field": "doc_id"}, "aggs": {"first": first}}}}
    changed = restricted(body, "groups", HR)
    assert changed["aggs"]["d"]["aggs"]["first"]["top_hits"]["_source"]["excludes"] == ["metadata.groups"]
    assert changed["_source"] is False
    collapsed = restricted({"collapse": {"field": "doc_id", "inner_hits": {"name": "x"}}}, "groups", HR)
    assert collapsed["collapse"]["inner_hits"]["_source"] == NO_GROUPS


@pytest.mark.parametrize(
    "body",
    [
        {"suggest": {"s": {"text": "a", "term": {"field": "text_kw"}}}},
        {"retriever": {"standard": {}}},
        {"pit": {"id": "x"}},
        {"runtime_mappings": {}},
        {"rescore": {}},
        {"script_fields": {}},
        {"aggs": {"all": {"global": {}}}},
        {"aggs": {"a": {"terms": {"field": "doc_id"}, "aggs": {"all": {"global": {}}}}}},
        {"aggregations": {"s": {"significant_text": {"field": "text"}}}},
        {"aggs": {"v": {"terms": {"field": "metadata.area", "min_doc_count": 0}}}},
        {"aggs": {"v": {"terms": {"field": "metadata.area", "shard_min_doc_count": "0"}}}},
        {"query": {"more_like_this": {"fields": ["text"], "like": [{"_id": "suit-0"}]}}},
        {"query": {"terms": {"doc_id": {"index": "bothways-law-v1", "id": "suit-0", "path": "text"}}}},
        {"query": {"bool": {"filter": [{"has_parent": {"parent_type": "x", "query": {}}}]}}},
        {"aggs": {"g": {"terms": {"field": "metadata.groups"}}}},
        {"query": {"bool": {"must_not": [{"exists": {"field": "metadata.groups"}}]}}},
        {"query": {"bool": {"filter": [{"terms": {"metadata.groups": ["legal"]}}]}}},
        {"knn": {"field": "text_sem", "filter": [{"prefix": {"metadata.groups": {"value": ""}}}]}},
        {"sort": [{"metadata.groups": "asc"}]},
        {"sort": ["metadata.groups"]},
        {"query": {"range": {"metadata.groups.number": {"gt": 1}}}},
        {"aggs": {"g": {"terms": {"field": "metadata.groups.date"}}}},
        {"fields": ["metadata.*"]},
        {"fields": [{"field": "metadata.groups"}]},
        {"docvalue_fields": ["metadata.groups"]},
        {"highlight": {"fields": {"metadata.groups": {}}}},
    ],
)
def test_what_a_filter_does_not_hold_for_is_refused(body):
    with pytest.raises(AccessError):
        restricted(body, "groups", HR)


def test_a_guarded_client_refuses_all_but_reading():
    client = guarded(Elasticsearch("http://127.0.0.1:1", max_retries=0), HR)
    assert isinstance(client, GuardedClient)
    for refused in (
        lambda: client.get(index="bothways-law-v1", id="x"),
        lambda: client.mget(ids=["x"]),
        lambda: client.mget(index="bothways-*", ids=["x"]),
        lambda: client.delete_by_query(index="bothways-law-v1", query={"match_all": {}}),
        lambda: client.indices.delete(index="bothways-law-v1"),
        lambda: client.indices.put_mapping(index="bothways-law-v1", meta={}),
        lambda: client.termvectors(index="bothways-law-v1", id="x"),
        lambda: client.explain(index="bothways-law-v1", id="x", query={"match_all": {}}),
        lambda: client.open_point_in_time(index="bothways-law-v1", keep_alive="1m"),
        lambda: client.scroll(scroll_id="x"),
        lambda: client.search(query={"match_all": {}}),
        lambda: client.search(index="bothways-*"),
        lambda: client.search(index="bothways-law-v1,bothways-hr-v1"),
        lambda: client.search(index=["bothways-law-v1", "bothways-hr-v1"]),
        lambda: client.search(index=".security"),
        lambda: client.search(index="bothways-law-v1", q="*:*"),
        lambda: client.search(index="bothways-law-v1", scroll="1m"),
        lambda: client.msearch(searches=[{"index": "bothways-*"}, {}]),
        lambda: client.msearch(searches=[{}, {}]),
        lambda: client.msearch(searches=[{"index": "bothways-law-v1", "routing": "x"}, {}]),
        lambda: client.options(request_timeout=1).get(index="bothways-law-v1", id="x"),
    ):
        with pytest.raises(AccessError):
            refused()


def test_an_admins_client_is_the_client_itself():
    client = Elasticsearch("http://127.0.0.1:1")
    assert guarded(client, ADMIN) is client
