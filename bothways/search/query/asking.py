"""What is asked for a question: the question checked, its vector, and the body of each leg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bothways.core.collections.collection import Collection
from bothways.core.datatypes import Leg, Query, Vector
from bothways.core.errors import QueryError
from bothways.core.text.valid import valid_text
from bothways.models.protocols import Encoder
from bothways.search.options import SearchOptions
from bothways.search.query.filters import filter_clauses
from bothways.search.query.self_query.conditions import Understood
from bothways.search.retrieve.bodies import VECTOR_FIELDS, bm25_body, knn_body


def checked_query(text: str, options: SearchOptions) -> Query:
    """Make a query of what somebody typed; raises `QueryError` where it is empty or too long."""
    stripped = valid_text(text).replace("\x00", " ").strip()
    if not stripped:
        raise QueryError("The query is empty: ask something.")
    if len(stripped) > options.max_query_chars:
        raise QueryError(
            f"The query has {len(stripped)} characters, {options.max_query_chars} are the most "
            "(BOTHWAYS_MAX_QUERY_CHARS)."
        )
    return Query(stripped)


def encoded(encoder: Encoder, query: Query, options: SearchOptions) -> Vector:
    """Encode the question, mixed with its pseudo-document where it has one."""
    vector: Vector = encoder.encode_queries([query.text])[0]
    if query.rewritten is None:
        return vector
    pseudo_doc: Vector = encoder.encode_documents([query.rewritten])[0]
    return mix(vector, pseudo_doc, weight=options.weight_pseudo_doc)


def mix(question: Vector, pseudo_doc: Vector, *, weight: float) -> Vector:
    """Give the weighted mean of two vectors, L2-normalised: `weight` 0 is the question alone, 1 the pseudo-document.

    The question stays in: a pseudo-document may be about something else (docs/decisions/query-rewriting.md).
    """
    mean = (1 - weight) * question + weight * pseudo_doc
    length = float(np.linalg.norm(mean))
    return (mean / length).astype(np.float32) if length > 1e-6 else question


def bodies_of(
    query: Query,
    words: Sequence[str],
    vector: Vector | None,
    legs: Sequence[Leg],
    options: SearchOptions,
    collection: Collection,
    understood: Understood,
) -> dict[Leg, dict[str, Any]]:
    """Give the body of each leg; of a dense leg none where there is no vector."""
    filters = [*filters_of(options, collection), *understood.filters]
    k = options.depth
    bodies: dict[Leg, dict[str, Any]] = {}
    for leg in legs:
        if leg == "bm25":
            bodies[leg] = bm25_body(
                words,
                query.text,
                k=k,
                filters=filters,
                boosts=understood.boosts,
                boost=options.self_query_boost,
                all_filtered=bool(understood.filters),
                weight_cjk=options.weight_cjk,
            )
        elif vector is not None:
            bodies[leg] = knn_body(
                vector,
                field=VECTOR_FIELDS[leg],
                k=k,
                num_candidates=options.num_candidates,
                oversample=options.oversample,
                filters=filters,
                matched=options.explain and leg == "questions",
            )
    return bodies


def filters_of(options: SearchOptions, collection: Collection) -> list[dict[str, Any]]:
    """Give what every hit and every neighbour that is shown has to match."""
    return filter_clauses(options.filters, fields=collection.metadata_fields, ranges=collection.range_fields)
