"""An option of a search is described once: what a request, the settings, the command line and the client know of it."""

from __future__ import annotations

from inspect import signature
from typing import get_type_hints

import pytest
from pydantic import Field

from bothways.cli.verbs.search import search
from bothways.core.settings import SETTABLE, Settings
from bothways.schemas.options import (
    FixedOptions,
    RequestOptions,
    SearchDefaults,
    SearchKeywords,
    SearchOptions,
    options,
)
from bothways.schemas.search import REQUEST_OPTIONS, SearchRequest

FLAGS = {"filters": "filter_", "facets": "facet", "leg_k": "rank_window_size"}
"""Options whose flag has a name of its own."""
NO_FLAG = {"facet_size", "deduplicate"}
ASKED = {"query": "q", "collection": "c"}


def test_an_option_that_is_added_to_requests_is_described_and_reaches_the_search():
    class More(RequestOptions):
        newest_first: bool = Field(False, description="order hits by date")

    class Request(More, SearchRequest):
        pass

    class Options(SearchOptions, More):
        pass

    assert Request.model_json_schema()["properties"]["newest_first"]["description"] == "order hits by date"
    request = Request.model_validate({**ASKED, "newest_first": True})
    given = {name: getattr(request, name) for name in Request.model_fields if name not in ASKED}
    assert options(Options(), given).newest_first


def test_an_option_that_is_added_to_the_defaults_is_a_setting(monkeypatch):
    class More(SearchDefaults):
        newest_first: bool = Field(False, description="order hits by date")

    class MoreSettings(More, Settings):
        pass

    monkeypatch.setenv("BOTHWAYS_NEWEST_FIRST", "true")
    assert MoreSettings().newest_first


def test_settings_have_the_defaults_of_a_search(monkeypatch):
    assert SearchDefaults.model_fields.keys() <= SETTABLE.keys()
    assert not FixedOptions.model_fields.keys() & SETTABLE.keys()
    monkeypatch.setenv("BOTHWAYS_LEG_K", "7")
    assert Settings().search == SearchOptions(leg_k=7)


def test_every_option_is_one_of_a_search():
    assert set(REQUEST_OPTIONS) <= SearchOptions.model_fields.keys()
    assert RequestOptions.model_fields.keys() <= set(REQUEST_OPTIONS)


def test_the_client_has_the_same_keywords():
    names = {field.alias or name for name, field in SearchRequest.model_fields.items()} - ASKED.keys()
    assert SearchKeywords.__annotations__.keys() == names


def test_the_command_line_has_the_same_options_with_the_same_bounds():
    hints, parameters = get_type_hints(search, include_extras=True), signature(search).parameters
    for name in set(REQUEST_OPTIONS) - NO_FLAG:
        flag, field = FLAGS.get(name, name), SearchRequest.model_fields[name]
        (info,) = hints[flag].__metadata__
        bounds = {kind: getattr(one, kind) for one in field.metadata for kind in ("ge", "le") if hasattr(one, kind)}
        assert (info.min, info.max) == (bounds.get("ge"), bounds.get("le")), name
        if parameters[flag].default is not None:  # None: not given
            assert parameters[flag].default == field.default, name


def test_what_is_given_goes_before_what_is_set():
    defaults = SearchOptions(leg_k=20, fusion="rrf")
    request = SearchRequest.model_validate(
        {**ASKED, "top_k": 3, "rank_window_size": 9, "filters": {"year": {"gte": 1}}}
    )
    asked = options(defaults, request.given())
    assert (asked.top_k, asked.leg_k, asked.fusion, asked.filters) == (3, 9, "rrf", {"year": {"gte": 1}})
    assert options(defaults, SearchRequest.model_validate(ASKED).given()) == defaults


def test_a_misspelt_option_is_no_option():
    with pytest.raises(TypeError, match="top_q"):
        SearchOptions().replace(top_q=3)
