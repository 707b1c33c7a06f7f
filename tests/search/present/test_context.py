from __future__ import annotations

from bothways.core.results import Hit
from bothways.core.text.document_id import document_id
from bothways.search.present.context import Beside, context_body, documents_beside


def law(record):
    return document_id("law.txt", record=record)


def test_documents_beside_are_known_by_their_ids():
    assert documents_beside(law(2), "law.txt", 1) == Beside((law(1),), (law(3),))
    assert documents_beside(law(1), "law.txt", 3) == Beside((law(0),), (law(2), law(3), law(4)))
    assert documents_beside("own-id", "law.txt", 2) == Beside()


def test_one_body_asks_for_all():
    hits = [
        Hit(chunk_id="d-3", score=1, doc_id="d", position=3),
        Hit(chunk_id=f"{law(1)}-0", score=1, doc_id=law(1), position=0, source="law.txt"),
    ]
    body = context_body(hits, [Beside(), Beside((law(0),), (law(2),))], 1, filters=[{"term": {"a": "b"}}])
    ids = ["d-2", "d-4", f"{law(1)}-1", f"{law(2)}-0"]
    assert body["post_filter"] == {"terms": {"chunk_id": ids}}
    assert body["size"] == 4
    mandatory, either = body["query"]["bool"]["filter"]
    assert mandatory == {"term": {"a": "b"}}
    assert either["bool"]["should"] == [{"terms": {"chunk_id": ids}}, {"terms": {"doc_id": [law(0)]}}]
    assert body["aggs"]["before"]["filter"] == {"terms": {"doc_id": [law(0)]}}


def test_ends_of_documents_are_asked_for_only_where_they_are_needed():
    body = context_body([Hit(chunk_id="x-2", score=1, doc_id="x", position=2)], [Beside(("w",), ("y",))], 2)
    assert "aggs" not in body
    assert body["post_filter"]["terms"]["chunk_id"] == ["x-0", "x-1", "x-3", "x-4", "y-0", "y-1"]
