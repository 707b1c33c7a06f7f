from __future__ import annotations

import pytest

from bothways.core.errors import UnknownFieldError
from bothways.core.results import Facet, Hit
from bothways.search.present.facets import check_fields, facets

EVERY = [
    Hit(chunk_id="a-0", score=1, doc_id="a", source="x.txt", metadata={"law": "民法典", "year": "2020"}),
    Hit(chunk_id="a-1", score=1, doc_id="a", source="x.txt", metadata={"law": "民法典", "year": "2020"}),
    Hit(chunk_id="b-0", score=1, doc_id="b", source="y.txt", metadata={"law": "刑法"}),
    Hit(chunk_id="c-0", score=1, doc_id="c", source="y.txt", metadata={"law": "公司法", "year": "2023"}),
]
KNOWN = frozenset({"law", "year"})


def count(*fields, size=10):
    return facets(EVERY, fields, known=KNOWN, size=size)


def test_the_most_frequent_first_then_by_text():
    assert count("law") == {"law": Facet((("民法典", 2), ("公司法", 1), ("刑法", 1)))}


def test_all_candidates_are_accounted_for():
    assert count("year") == {"year": Facet((("2020", 2), ("2023", 1)), others=0, missing=1)}
    assert count("law", size=1) == {"law": Facet((("民法典", 2),), others=2, missing=0)}


def test_fields_are_named_as_filters_name_them():
    assert count("metadata.year", "source", "doc_id") == {
        "metadata.year": Facet((("2020", 2), ("2023", 1)), missing=1),
        "source": Facet((("x.txt", 2), ("y.txt", 2))),
        "doc_id": Facet((("a", 2), ("b", 1), ("c", 1))),
    }


def test_no_candidates():
    assert facets([], ["law"], known=KNOWN, size=10) == {"law": Facet(())}


@pytest.mark.parametrize("field", ["lww", "origin", "text_kw", "metadata.origin", "metadata.source"])
def test_an_unknown_field_is_refused_with_what_there_is(field):
    with pytest.raises(UnknownFieldError, match=r"count by.*doc_id, law, source, year"):
        check_fields([field], known=KNOWN)
    check_fields(["law", "metadata.law", "source", "doc_id"], known=KNOWN)


def test_a_metadata_field_that_is_named_like_one_of_ours_goes_first():
    hit = Hit(chunk_id="a-0", score=1, source="x.txt", metadata={"source": "Reuters"})
    assert facets([hit], ["source"], known={"source"}, size=5) == {"source": Facet((("Reuters", 1),))}


def test_several_values_count_each():
    hit = Hit(chunk_id="a-0", score=1, metadata={"tag": ["b", "a", "b"]})
    rows = [
        hit,
        Hit(chunk_id="b-0", score=1, metadata={"tag": "a"}),
        Hit(chunk_id="c-0", score=1, metadata={"tag": []}),
    ]
    assert facets(rows, ["tag"], known={"tag"}, size=1) == {"tag": Facet((("a", 2),), others=1, missing=1)}
