"""The legs of a search: what each is asked, and their answers as the caller may know them."""

from __future__ import annotations

from typing import Any

from elasticsearch import Elasticsearch

from bothways.core.collections.collection import Collection
from bothways.core.datatypes import Leg
from bothways.search.options import SearchOptions
from bothways.search.query.filters import filter_clauses
from bothways.search.query.self_query.conditions import Understood
from bothways.search.retrieve.bodies import VECTOR_FIELDS, bm25_body, knn_body
from bothways.search.retrieve.msearch import Retrieved, retrieve_from
from bothways.search.retrieve.paging import preference
from bothways.search.retrieve.rank_scores import scored_for_caller
from bothways.search.state import SearchState


def ask_legs(client: Elasticsearch, state: SearchState, understood: Understood) -> Retrieved:
    """Ask all legs of a search at once, within what `understood` says; raises what `retrieve` raises."""
    retrieved = retrieve_from(
        client,
        state.collection,
        leg_bodies(state, understood),
        timeout_ms=state.options.search_timeout_ms,
        preference=preference(state.query.text),
    )
    return scored_for_caller(retrieved, state.collection)


def leg_bodies(state: SearchState, understood: Understood) -> dict[Leg, dict[str, Any]]:
    """Return the request body of each leg; a dense leg has none where there is no vector."""
    options = state.options
    filters = [*request_filters(options, state.collection), *understood.filters]
    bodies: dict[Leg, dict[str, Any]] = {}
    for leg in state.legs:
        if leg == "bm25":
            bodies[leg] = bm25_body(
                state.words,
                state.query.text,
                k=options.depth,
                filters=filters,
                boosts=understood.boosts,
                boost=options.self_query_boost,
                all_filtered=bool(understood.filters),
                weight_cjk=options.weight_cjk,
            )
        elif state.vector is not None:
            bodies[leg] = knn_body(
                state.vector,
                field=VECTOR_FIELDS[leg],
                k=options.depth,
                num_candidates=options.num_candidates,
                oversample=options.oversample,
                filters=filters,
                matched=options.explain and leg == "questions",
            )
    return bodies


def request_filters(options: SearchOptions, collection: Collection) -> list[dict[str, Any]]:
    """Return the clauses of the request's filters, which every hit and every neighbour that is shown must match."""
    return filter_clauses(options.filters, fields=collection.metadata_fields, ranges=collection.range_fields)
