from __future__ import annotations

import pytest

from bothways.cli.options import parse_filters
from bothways.core.errors import UsageError


@pytest.mark.parametrize(
    ("pairs", "filters"),
    [
        (["law=民法典"], {"law": "民法典"}),
        (["law = 民法典 ", "law=刑法"], {"law": ["民法典", "刑法"]}),
        (["a=x=y", "b=>1"], {"a": "x=y", "b": ">1"}),
        (["law!=刑法", "law!=宪法"], {"law": {"not": ["刑法", "宪法"]}}),
        (["year>=2020", "year<2023"], {"year": {"gte": "2020", "lt": "2023"}}),
        (["day>2020-05-01", "day<=2021"], {"day": {"gt": "2020-05-01", "lte": "2021"}}),
        (["law?", "book=a"], {"law": {"exists": True}, "book": "a"}),
        (["!law?"], {"law": {"exists": False}}),
        (["n=1", "n>5"], {"n": {"any": ["1"], "gt": "5"}}),
        ([], {}),
    ],
)
def test_filters(pairs, filters):
    assert parse_filters(pairs) == filters


@pytest.mark.parametrize("pair", ["law", "=x", "law=", "law= ", "?", "!law", "!law=x", "year>", "law?x", ""])
def test_filters_that_are_none(pair):
    with pytest.raises(UsageError, match="FIELD=VALUE"):
        parse_filters([pair])


def test_a_bound_is_given_once():
    with pytest.raises(UsageError, match="twice"):
        parse_filters(["year>1", "year>2"])
