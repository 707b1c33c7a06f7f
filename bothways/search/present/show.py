"""What a page of hits is given beside itself, where it is asked for: highlights, matched words, neighbours.

Each costs the page's hits only, and at most one request; what fails is left out and named, the hits stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import structlog
from elasticsearch import Elasticsearch

from bothways.core.datatypes import Hit
from bothways.core.errors import ElasticsearchError
from bothways.search.options import SearchOptions
from bothways.search.present.context import with_context
from bothways.search.present.explain import with_words
from bothways.search.present.highlight import highlight, wanted
from bothways.search.present.terms import Term, Terms, plain_terms

log = structlog.get_logger()

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A page to show: the index it comes from, the question as text and words, and the filters it was found with."""

    index: str
    query: str
    words: Sequence[str]
    filters: Sequence[Mapping[str, Any]] = ()


def show(
    client: Elasticsearch, terms: Terms, hits: Sequence[Hit], page: Shown, options: SearchOptions, degraded: list[str]
) -> list[Hit]:
    """Give a page's hits with all that the options ask for; names what failed in `degraded`."""
    shown = list(hits)
    if not shown:
        return shown
    if options.highlight or options.explain:
        named = _or(lambda: terms.of(page.index, page.words), plain_terms(page.words), "synonyms", degraded)
        if options.highlight:
            shown = _highlighted(shown, named, page.query)
        if options.explain:
            found = shown
            shown = _or(
                lambda: with_words(client, page.index, found, named, page.query), found, "matched_words", degraded
            )
    if options.context:
        bare = shown
        shown = _or(
            lambda: with_context(client, page.index, bare, options.context, filters=page.filters),
            bare,
            "context",
            degraded,
        )
    return shown


def _highlighted(hits: Sequence[Hit], terms: Sequence[Term], query: str) -> list[Hit]:
    marked = wanted((term.text, term.asked) for term in terms)
    return [replace(hit, highlights=highlight(hit.text, marked, query=query)) for hit in hits]


def _or(make: Callable[[], T], instead: T, name: str, degraded: list[str]) -> T:
    try:
        return make()
    except ElasticsearchError as error:
        log.warning("not_shown", what=name, reason=str(error))
        degraded.append(name)
        return instead
