"""A page of hits as it is shown: cut out of all candidates, with facets, highlights, matched words and neighbours.

Each of these is made for the page alone and costs one request at most. What fails is left out and named in
`degraded`; the hits stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog
from elasticsearch import Elasticsearch

from bothways.core.errors import ElasticsearchError
from bothways.core.results import Hit
from bothways.search.present.context import with_context
from bothways.search.present.explain import with_words
from bothways.search.present.facets import facets
from bothways.search.present.highlight import highlight, marked_terms
from bothways.search.present.terms import Term, Terms, plain_terms
from bothways.search.rank.rerank_stage import above_threshold
from bothways.search.retrieve.legs import request_filters
from bothways.search.retrieve.paging import cut
from bothways.search.state import SearchState

log = structlog.get_logger()


def cut_page(state: SearchState) -> SearchState:
    """Drop what is below the threshold, count the rest by the facets, and keep the page that the options ask for."""
    state = above_threshold(state)
    options, fields = state.options, state.collection.metadata_fields
    return replace(
        state,
        hits=cut(state.hits, options),
        total=len(state.hits),
        facets=facets(state.hits, options.facets, known=fields, size=options.facet_size),
    )


def show_page(state: SearchState, client: Elasticsearch, terms: Terms) -> SearchState:
    """Add to the page's hits all that the options ask for."""
    options, index = state.options, state.collection.index
    if not state.hits:
        return state
    if options.highlight or options.explain:
        named: Sequence[Term] = plain_terms(state.words)
        try:
            named = terms.of(index, state.words)
        except ElasticsearchError as error:
            state = _failed(state, "synonyms", error)
        if options.highlight:
            state = replace(state, hits=_highlighted(state.hits, named, state.query.text))
        if options.explain:
            query = state.query.text
            state = _changed(state, "matched_words", lambda hits: with_words(client, index, hits, named, query))
    if options.context:
        filters = request_filters(options, state.collection)
        state = _changed(
            state, "context", lambda hits: with_context(client, index, hits, options.context, filters=filters)
        )
    return state


def _changed(state: SearchState, name: str, change: Callable[[Sequence[Hit]], list[Hit]]) -> SearchState:
    try:
        return replace(state, hits=change(state.hits))
    except ElasticsearchError as error:
        return _failed(state, name, error)


def _failed(state: SearchState, name: str, error: ElasticsearchError) -> SearchState:
    log.warning("not_shown", what=name, reason=str(error))
    return state.without(name)


def _highlighted(hits: Sequence[Hit], terms: Sequence[Term], query: str) -> list[Hit]:
    marked = marked_terms((term.text, term.in_question) for term in terms)
    return [replace(hit, highlights=highlight(hit.text, marked, query=query)) for hit in hits]
