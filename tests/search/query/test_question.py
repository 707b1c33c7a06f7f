from __future__ import annotations

import pytest

from bothways.core.errors import QueryError
from bothways.core.results import Query
from bothways.search.query.question import checked_query


@pytest.mark.parametrize(("text", "query"), [("  年假几天\n", "年假几天"), ("a\x00b", "a b"), ("半\ud800个", "半?个")])
def test_what_was_typed_becomes_a_query(text, query):
    assert checked_query(text, max_chars=10) == Query(query)


@pytest.mark.parametrize("text", ["", " \t\n", "\x00"])
def test_an_empty_question_is_an_error(text):
    with pytest.raises(QueryError, match="empty"):
        checked_query(text, max_chars=10)


def test_a_long_question_is_an_error_that_names_the_limit():
    assert checked_query(" " + "长" * 10, max_chars=10)
    with pytest.raises(QueryError, match="11 characters; at most 10"):
        checked_query("长" * 11, max_chars=10)
