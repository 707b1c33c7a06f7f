from __future__ import annotations

import math

import pytest

from bothways.core.errors import UnknownFieldError, UsageError
from bothways.search.query.filters import MAX_CONDITIONS, MAX_VALUES, filter_clauses


def clauses(filters, fields=("law", "year", "day"), ranges=("year", "day")):
    return filter_clauses(filters, fields=fields, ranges=ranges)


def test_values_are_terms_on_metadata():
    assert clauses({"law": "民法典", "metadata.year": ["1", "2"], "source": "a.txt"}) == [
        {"terms": {"metadata.law": ["民法典"]}},
        {"terms": {"metadata.year": ["1", "2"]}},
        {"terms": {"source": ["a.txt"]}},
    ]


def test_numbers_and_booleans_become_what_the_readers_write():
    assert filter_clauses({"n": 3, "b": True}, fields=["n", "b"]) == [
        {"terms": {"metadata.n": ["3"]}},
        {"terms": {"metadata.b": ["true"]}},
    ]


def test_not_exists_and_any():
    assert clauses({"law": {"not": ["刑法", "宪法"]}}) == [
        {"bool": {"must_not": [{"terms": {"metadata.law": ["刑法", "宪法"]}}]}}
    ]
    there = {"exists": {"field": "metadata.law"}}
    assert clauses({"law": {"exists": True}}) == [there]
    assert clauses({"law": {"exists": False}}) == [{"bool": {"must_not": [there]}}]
    assert clauses({"law": {"any": ["a", {"exists": False}, "b"]}}) == [
        {
            "bool": {
                "should": [{"bool": {"must_not": [there]}}, {"terms": {"metadata.law": ["a", "b"]}}],
                "minimum_should_match": 1,
            }
        }
    ]


def test_the_operators_of_an_object_all_hold():
    found = clauses({"day": {"gt": 3, "lte": "4.5", "not": {"gte": 4, "lt": 4.2}, "exists": True}})
    assert found == [
        {"range": {"metadata.day.number": {"gt": 3.0, "lte": 4.5}}},
        {"exists": {"field": "metadata.day"}},
        {"bool": {"must_not": [{"range": {"metadata.day.number": {"gte": 4.0, "lt": 4.2}}}]}},
    ]


@pytest.mark.parametrize(
    ("condition", "limits"),
    [
        ({"gte": "2020-05-01"}, {"gte": "2020-05-01"}),
        ({"gt": "2020-05-01"}, {"gte": "2020-05-02"}),
        ({"lte": "2020-05-01"}, {"lt": "2020-05-02"}),
        ({"lt": "2020-05-01"}, {"lt": "2020-05-01"}),
        ({"gt": "2020-12"}, {"gte": "2021-01-01"}),
        ({"lte": "2020-2"}, {"lt": "2020-03-01"}),
        ({"lte": "2024-02-29"}, {"lt": "2024-03-01"}),
        ({"gt": "2020-05-01T10:00:00+08:00"}, {"gt": "2020-05-01T02:00:00+00:00"}),
        ({"lte": "2020-05-01T10:00:00Z", "gte": 2020}, {"lte": "2020-05-01T10:00:00+00:00", "gte": "2020-01-01"}),
    ],
)
def test_dates_are_periods(condition, limits):
    assert clauses({"day": condition}) == [
        {"range": {"metadata.day.date": {**limits, "format": "strict_date_optional_time"}}}
    ]


def test_a_year_is_a_number_or_a_date():
    number, day = clauses({"year": {"gt": "2020"}})[0]["bool"]["should"]
    assert number == {"range": {"metadata.year.number": {"gt": 2020.0}}}
    assert day["range"]["metadata.year.date"]["gte"] == "2021-01-01"


def test_an_unknown_field_is_refused_with_what_there_is():
    with pytest.raises(UnknownFieldError, match=r"'lww'.*law"):
        clauses({"lww": "x"})
    with pytest.raises(UnknownFieldError, match="'origin'"):
        clauses({"origin": {"exists": True}})


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({"law": []}, "no value"),
        ({"law": {}}, "no operator given"),
        ({"law": {"script": "x"}}, "'script'; there are: gte, gt, lte, lt, exists, not, any"),
        ({"law": {"query_string": "*"}}, "no operator"),
        ({"law": None}, "not NoneType"),
        ({"law": [{"gte": 1}]}, "not dict"),
        ({"law": {"exists": "yes"}}, "true or false"),
        ({"law": {"any": []}}, "list of values"),
        ({"law": {"any": "x"}}, "list of values"),
        ({"law": "x" * 9000}, "9000 characters"),
        ({"law": ["x"] * (MAX_VALUES + 1)}, "1001 values"),
        ({"law": {"any": [{"not": "a"}] * MAX_CONDITIONS}}, "100 conditions at most"),
        ({"law": {"not": {"not": {"not": {"not": {"not": "x"}}}}}}, "4 deep"),
        ({"law": {"gte": 1}}, "no ranges.*--recreate"),
        ({"source": {"gte": 1}}, "no ranges"),
        ({"year": {"gte": "soon"}}, "wants numbers, or dates"),
        ({"year": {"gte": "now-1d/d"}}, "wants numbers, or dates"),
        ({"year": {"gte": "2020-13-01"}}, "wants numbers, or dates"),
        ({"year": {"gte": math.inf}}, "wants numbers, or dates"),
        ({"year": {"gte": 10**400}}, "wants numbers, or dates"),
        ({"year": {"gte": True}}, "wants numbers, or dates"),
        ({"year": {"gte": None}}, "wants numbers, or dates"),
        ({"year": {"gte": 3.5, "lt": "2020-05-01"}}, "on both sides the same"),
        ({"year": {"gte": 1, "gt": 1}}, "two bounds"),
    ],
)
def test_what_cannot_be_used_is_refused(filters, says):
    with pytest.raises(UsageError, match=says):
        clauses(filters)
