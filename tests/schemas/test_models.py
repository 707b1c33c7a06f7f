from __future__ import annotations

from dataclasses import replace

import pytest

from bothways.api import answers
from bothways.core import results as core
from bothways.indexer import documents as stored
from bothways.indexer.jobs.store import Job
from bothways.schemas import ask, documents, examples, jobs, search

HIT = core.Hit(
    chunk_id="a-0",
    score=0.5,
    rank=1,
    doc_id="a",
    title="t",
    text="x",
    source="a.txt",
    metadata={"law": ("甲", "乙")},
    legs={
        "bm25": core.LegScore(rank=1, score=2.5, words=core.MatchedWords(words=("x",), synonyms={"y": "x"})),
        "questions": core.LegScore(rank=3, score=0.9, matched="什么？"),
    },
    rrf=0.03,
)
RESULT = core.SearchResult(
    query_id="1" * 32,
    query="x",
    strategy="hybrid",
    collection="c",
    index="bothways-c-v1",
    hits=[HIT],
    legs={},
    timings_ms={"total": 1.5},
    total=2,
    facets={"law": core.Facet((core.FacetValue("甲", 1),), missing=1)},
    reranking=core.Reranking(candidates=2, scored=1, cached=None),
)


@pytest.mark.parametrize(
    ("model", "source", "elsewhere"),
    [
        (search.SearchResult, RESULT, set()),
        (search.Hit, HIT, set()),
        (search.LegExplain, HIT.legs["bm25"], {"synonyms", "in_questions", "bigrams"}),  # in its `words`
        (jobs.Job, Job(id="1", collection="c"), {"who"}),  # of its `holder`
        (documents.Document, stored.StoredDocument(doc_id="a", title="", source="", chunk_count=0), set()),
    ],
)
def test_no_field_is_left_to_its_default(model, source, elsewhere):
    """A field that is renamed inside would be answered as its default, and nobody would notice."""
    assert {name for name in model.model_fields if not hasattr(source, name)} == elsewhere


def test_a_result_is_told_as_it_is_with_why_only_where_that_is_asked():
    shown = answers.search_result(RESULT, explain=True).model_dump()
    assert shown["hits"][0]["explain"] == {
        "bm25": {"rank": 1, "score": 2.5, "words": ["x"], "synonyms": {"y": "x"}, "in_questions": [], "bigrams": []},
        "questions": {"rank": 3, "score": 0.9, "matched": "什么？"},
        "rrf": 0.03,
    }
    assert shown["facets"] == {"law": {"values": [{"value": "甲", "count": 1}], "others": 0, "missing": 1}}
    assert shown["reranking"] == {"candidates": 2, "scored": 1, "cached": None}
    assert (shown["next_offset"], shown["rewritten"], shown["self_query"]) == (1, None, None)
    plain = answers.search_result(RESULT, explain=False).model_dump()
    assert set(shown) - set(plain) == {"reranking"}
    assert plain["hits"] == [
        {
            "rank": 1, "score": 0.5, "chunk_id": "a-0", "doc_id": "a", "title": "t", "text": "x", "source": "a.txt",
            "metadata": {"law": ("甲", "乙")}, "highlights": [],
        }
    ]  # fmt: skip


def test_what_is_not_there_is_not_said():
    copies = replace(HIT, duplicates=(core.Copy(chunk_id="b-0", doc_id="b", title="", source="b"),))
    assert search.Hit.model_validate(copies).model_dump()["duplicates"] == [
        {"chunk_id": "b-0", "doc_id": "b", "title": "", "source": "b"}
    ]
    assert {"duplicates", "context"}.isdisjoint(search.Hit.model_validate(HIT).model_dump())


def test_servers_of_other_versions_are_understood():
    older = {
        "query_id": "1", "query": "q", "strategy": "bm25", "collection": "c", "index": "i", "hits": [],
        "timings_ms": {}, "degraded": [],
    }  # fmt: skip
    read = search.SearchResult.model_validate(older | {"of_a_newer_server": 1})
    assert (read.total, read.facets, read.rewritten) == (0, {}, None)


def test_json_is_read_back_as_the_same():
    shown = answers.search_result(RESULT, explain=True)
    assert search.SearchResult.model_validate_json(shown.model_dump_json()).hits[0].explain == shown.hits[0].explain
    for model, example in ((search.SearchResult, examples.SEARCH_RESULT), (ask.Answer, examples.ANSWER)):
        assert model.model_validate(example).model_dump(mode="json").items() >= example.items()
