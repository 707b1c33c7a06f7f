"""A search in the middle of its stages, for tests of single stages."""

from __future__ import annotations

from bothways.core.collections.collection import Collection
from bothways.core.results import Query
from bothways.search.options import LEGS, SearchOptions
from bothways.search.state import SearchState

COLLECTION = Collection(
    name="law",
    index="bothways-law-v1",
    embedding_model="m",
    dimension=64,
    analyzer="a",
    schema_version=1,
    metadata_fields=frozenset(),
)


def state_of(hits=(), *, text="x", options=None, **known):
    """Make a state whose question is `text`, with these candidates."""
    options = options or SearchOptions()
    return SearchState(
        **{
            "text": text,
            "query": Query(text),
            "options": options,
            "collection": COLLECTION,
            "legs": LEGS[options.strategy],
            "hits": list(hits),
            **known,
        }
    )
