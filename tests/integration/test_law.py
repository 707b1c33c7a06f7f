"""The whole way with real parts: three statutes, recorded answers of a language model, the real encoder, real queries.

The data is not part of the repository (its licence is not stated); it lies beside the checkout.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from elasticsearch.helpers import scan

from bothways.core.lazy import Lazy
from bothways.core.settings import load_settings
from bothways.evaluation.build import evaluate_collection
from bothways.evaluation.judged.queries import load_queries
from bothways.indexer.build import build_parts, build_writer
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from bothways.models.embed.encoder import load_encoder
from bothways.search.build import build_searcher

SHARED = Path(__file__).parents[3] / "shared"
LAW = SHARED / "data" / "law"

pytestmark = [
    pytest.mark.elasticsearch,
    pytest.mark.skipif(not LAW.exists(), reason="the law texts are not beside this checkout"),
]


@pytest.fixture(scope="module")
def replay():
    """An OpenAI-compatible endpoint that replays recorded answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, SHARED / "tools" / "replay_llm.py", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
        server.terminate()


@pytest.fixture(scope="module")
def chosen(es_settings, replay, tmp_path_factory):
    """Settings with the replayed model, and a cache of answers that knows nothing yet."""
    return es_settings.model_copy(update={"llm_base_url": replay, "llm_model": "replay"})


@pytest.fixture(scope="module")
def indexed(chosen, es, tmp_path_factory):
    """The law collection, built once for this module, with the report of its first and of its second run."""
    collection = f"test-law-{tmp_path_factory.mktemp('law').parent.name.rsplit('-', 1)[-1]}-{time.time_ns()}"
    answers = chosen.model_copy(update={"cache_dir": tmp_path_factory.mktemp("answers")})

    def run(encoder):
        writer = build_writer(answers, None)
        parts = build_parts(chosen, writer=writer)
        parts = replace(parts, encoder=encoder, writer=writer)
        return index_path(LAW / "raw", JobOptions(collection=collection), parts)

    def no_encoder():
        raise AssertionError("a second run encodes nothing")

    first = run(Lazy(lambda: load_encoder(chosen)))
    second = run(no_encoder)
    yield collection, first, second
    client, _ = es
    for index in client.indices.get(index=f"bothways-{collection}-v*").body:
        client.indices.delete(index=index)


def test_every_article_is_there_once_with_its_questions(indexed, es):
    collection, first, _ = indexed
    assert first.succeeded, first.failures
    assert first.documents == 1908
    chunks = [hit["_source"] for hit in scan(es[0], index=f"bothways-{collection}", size=500)]
    articles = {(chunk["metadata"]["law"], chunk["metadata"]["article"]) for chunk in chunks}
    assert len(articles) == 1908
    assert Counter(law for law, _ in articles) == {
        "中华人民共和国民法典": 1260, "中华人民共和国刑法": 505, "中华人民共和国宪法": 143,
    }  # fmt: skip
    assert len({chunk["chunk_id"] for chunk in chunks}) == len(chunks) == first.chunks
    # The recordings answer to 12 characters or more: three articles are shorter, one is recorded with a stray heading.
    without = [chunk for chunk in chunks if not chunk["questions"]]
    assert len(without) == first.refused == 4
    assert all(chunk["generation"].startswith("refused:") for chunk in without)
    # Five near-copies are dropped: three of a sentence of the text, two of another question.
    assert Counter(len(chunk["questions"]) for chunk in chunks) == {0: 4, 4: 5, 5: len(chunks) - 9}


def test_a_second_run_asks_nothing_and_encodes_nothing(indexed):
    _, first, second = indexed
    assert first.llm_calls == first.chunks
    assert (second.llm_calls, second.encoded, second.indexed, second.removed) == (0, 0, 0, 0)
    assert second.unchanged == first.chunks
    assert second.succeeded


def test_the_example_questions_find_their_articles(indexed, chosen):
    collection, _, _ = indexed
    searcher, _ = build_searcher(chosen)
    queries = load_queries(LAW / "eval_example.jsonl")
    report = evaluate_collection(searcher, collection, queries, ["hybrid"], options=load_settings().search)
    assert report.missing == 0
    assert report.strategies["hybrid"]["hit@10"] == 1.0
    assert report.strategies["hybrid"]["mrr@10"] >= 0.97


def test_an_article_is_found_by_its_number(indexed, chosen):
    collection, _, _ = indexed
    searcher, _ = build_searcher(chosen)
    hits = searcher.search("民法典第五百九十条", collection, chosen.search).hits
    assert [hit.metadata["article"] for hit in hits[:1]] == ["第五百九十条"]
