"""The study of a vector index against a real Elasticsearch."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.vectors.index import DISK_USAGE, PREFIX, SERVER, Build, built_index, documented
from benchmarks.vectors.study import study_vectors
from bothways.core.collections.collection import open_collection
from bothways.core.errors import ElasticsearchError, UsageError
from tests.fakes import HashEncoder

pytestmark = pytest.mark.elasticsearch

CHUNKS = 1200
"""Enough for a graph: Elasticsearch 9.4 builds none for 900 vectors and one for 1,100."""


class RandomEncoder(HashEncoder):
    """Random directions: nothing is near anything, the hardest case for a graph."""

    def encode_documents(self, texts):
        rows = [np.random.default_rng(abs(hash_of(text))).standard_normal(self.dimension) for text in texts]
        vectors = np.array(rows, dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    encode_queries = encode_documents


def hash_of(text):
    return int.from_bytes(text.encode()[-6:], "big")


@pytest.fixture
def encoder(request):
    return RandomEncoder(dimension=getattr(request, "param", 64))


@pytest.fixture
def studied(request, tmp_path, build, es, collection):
    """A collection of random vectors, the last two of them equal."""
    client, _ = es
    chunks = getattr(request, "param", 200)
    rows = [{"_id": f"d{number}", "text": f"第 {number:06}"} for number in range(chunks - 1)]
    rows.append({"_id": "twin", "text": rows[-1]["text"]})
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "c.jsonl").write_text("".join(lines), "utf-8")
    build(tmp_path)
    return open_collection(client, collection)


@pytest.fixture
def questions(encoder):
    return encoder.encode_queries([f"问 {number:06}" for number in range(5000, 5010)])


@pytest.fixture
def left(es):
    """Temporary indices that were not there when the test began."""
    client, _ = es

    def names():
        return set(client.indices.get(index=f"{PREFIX}*").body)

    before = names()
    return lambda: names() - before


@pytest.mark.parametrize("studied", [CHUNKS], indirect=True)
def test_study(es, studied, questions, left):
    client, server = es
    said = []
    study = study_vectors(
        client,
        studied,
        questions,
        builds=[Build("flat"), Build("hnsw", 16, 100), Build("int8_hnsw", 16, 100), Build("bbq_hnsw", 16, 100)],
        num_candidates=[100, 5],
        oversample=[2, 3],
        k=10,
        progress=said.append,
    )
    assert not left()
    assert study.refused == {}
    assert (study.vectors, study.dimension, study.queries) == (CHUNKS, 64, 10)
    exact, *others = study.arms
    assert (exact.build, exact.recall) == (Build("flat"), 1.0)
    depths = [(arm.build.type, arm.num_candidates, arm.rescored) for arm in others]
    rescored_by_the_server = others[-1].built.oversample
    assert depths == [
        *[("hnsw", depth, 0) for depth in (10, 100)],
        *[("int8_hnsw", depth, times) for times in (0, 2, 3) for depth in (10, 100)],
        *[("bbq_hnsw", depth, times) for times in dict.fromkeys([rescored_by_the_server, 2, 3]) for depth in (10, 100)],
    ]
    recall = {(arm.build.type, arm.num_candidates, arm.rescored): arm.recall for arm in others}
    assert recall["hnsw", 100, 0] >= 0.9
    assert recall["int8_hnsw", 100, 2] >= 0.9
    assert all(0 < arm.p50_ms <= arm.p95_ms for arm in study.arms)
    assert {arm.built.disk_from for arm in study.arms} == {DISK_USAGE}
    assert {arm.built.memory_from for arm in study.arms} == {SERVER} or server.release < (9, 1)
    assert exact.memory_bytes == 4 * 64 * CHUNKS
    for arm in others:
        assert arm.memory_bytes <= arm.disk_bytes
        assert arm.memory_bytes < 1.2 * documented(arm.build, CHUNKS, 64)
    weights = [
        next(arm.memory_bytes for arm in others if arm.build.type == name) for name in ("bbq_hnsw", "int8_hnsw", "hnsw")
    ]
    assert weights == sorted(weights)
    assert "bbq_hnsw m=16 ef_construction=100: loading the vectors" in said


@pytest.mark.parametrize("encoder", [32], indirect=True)
def test_a_refused_build_is_told_and_the_others_go_on(es, studied, questions, left):
    client, _ = es
    builds = [Build("bbq_hnsw"), Build("int9_hnsw"), Build("hnsw")]
    study = study_vectors(client, studied, questions, builds=builds, num_candidates=[50], k=5)
    assert [arm.build.type for arm in study.arms] == ["flat", "hnsw"]
    assert list(study.refused) == ["bbq_hnsw", "int9_hnsw"]
    assert "64" in study.refused["bbq_hnsw"]
    assert "int9_hnsw" in study.refused["int9_hnsw"]
    assert "Failed: int9_hnsw." in study.markdown()
    assert not left()


@pytest.mark.parametrize(
    ("at", "error"), [("loading", KeyboardInterrupt), ("merging", RuntimeError), ("searching", KeyboardInterrupt)]
)
def test_no_index_is_left_after_an_error(es, studied, questions, left, error, at):
    client, _ = es

    def progress(what):
        if at in what and what.startswith("hnsw"):
            assert len(left()) == 1
            raise error

    with pytest.raises(error):
        study_vectors(client, studied, questions, builds=[Build("hnsw")], num_candidates=[50], progress=progress)
    assert not left()


def test_vectors_arrive_as_they_were(es, studied, encoder):
    client, _ = es
    query = encoder.encode_queries([f"第 {7:06}"])[0]
    with built_index(client, studied, Build("flat"), lambda _: None) as built:
        knn = {"field": "text_sem", "query_vector": query, "k": 1, "num_candidates": 10}
        hit = client.search(index=built.index, knn=knn)["hits"]["hits"][0]
    assert hit["_id"].startswith("d7-")
    assert hit["_score"] == pytest.approx(1, abs=1e-6)


def test_wrong_requests(es, studied, questions):
    client, _ = es
    right = {"builds": [Build("hnsw")], "num_candidates": [50]}
    for vectors, options, message in [
        (questions[:, :9], right, r"shape \(10, 9\)"),
        (questions[:0], right, "at least one question"),
        (questions, right | {"k": 0}, "k must be"),
        (questions, right | {"num_candidates": []}, "num_candidates"),
        (questions, right | {"oversample": [0.5]}, "oversample"),
    ]:
        with pytest.raises(UsageError, match=message):
            study_vectors(client, studied, vectors, **options)


def test_a_collection_that_is_gone(es, studied, questions, left):
    client, _ = es
    client.indices.delete(index=studied.index)
    with pytest.raises(ElasticsearchError, match="was removed while building"):
        study_vectors(client, studied, questions, builds=[Build("hnsw")], num_candidates=[50])
    assert not left()
