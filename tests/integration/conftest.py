from __future__ import annotations

import pytest

from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from bothways.search.pipeline import Searcher
from tests.fakes import HashEncoder, make_parts


@pytest.fixture
def encoder():
    return HashEncoder()


@pytest.fixture
def build(es, segmenter, encoder, collection):
    """Index a path into this test's collection with the fake encoder: `build(path, writer=..., recreate=...)`."""
    client, server = es

    def run(path, *, writer=None, server_=None, embedding_model="fake/hash", **options):
        chosen = {name: options.pop(name) for name in ("question_filter", "prices") if name in options}
        parts = make_parts(
            (client, server_ or server),
            segmenter,
            encoder=lambda: encoder,
            embedding_model=embedding_model,
            writer=writer,
            **chosen,
        )
        return index_path(path, JobOptions(collection=collection, **options), parts)

    return run


@pytest.fixture
def searcher(es, segmenter, encoder):
    client, _ = es
    return Searcher(client, segmenter, lambda: encoder, embedding_model="fake/hash")


@pytest.fixture
def stored(es, collection):
    """All chunks of this test's collection, by chunk id."""
    client, _ = es

    def read():
        found = client.search(index=f"bothways-{collection}", size=1000, query={"match_all": {}})
        return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}

    return read
