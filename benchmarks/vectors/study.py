"""The vector index on trial: which `index_options` find what exact search finds, how fast, at what weight.

In: a collection, vectors of questions, ways of building an index and of searching it. Out: a `VectorStudy`, a row an
arm. It exists because no default fits all: recall depends on the embedding model and on the number of chunks.

The truth is an index of type `flat` built the same way, which compares the full floats of every chunk; it is the first
row, since its time is what exactness costs. Each build is tried by itself, one temporary index at a time
(benchmarks/vectors/index.py). Nothing may be indexed into the collection meanwhile.

Rescoring (`rescore_vector.oversample` x): the k · x best by quantised vectors are scored anew with the floats. Left
unsaid, Elasticsearch from 9.1 on does it with x = 3 for `bbq_*` and not at all for `int8_*` and `int4_*`; it
writes what it does into the mapping, and from there the tables here have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from benchmarks.vectors.index import FIELD, Build, Built, Progress, built_index
from benchmarks.vectors.report import EXACT, Arm, VectorStudy
from bothways.core.collections.collection import Collection
from bothways.core.datatypes import Vector
from bothways.core.elastic.client import elasticsearch_errors
from bothways.core.errors import ElasticsearchError, ElasticsearchUnavailableError, EvaluationError, UsageError

WARM_UP = 50
"""Searches before the first that counts, an arm: the page cache is filled and the server's code compiled."""

SAME_SCORE = 1e-6
"""Scores nearer than this are a tie: float32 scores between .5 and 1 are at best 6e-8 apart."""

Hits = Sequence[tuple[str, float]]
"""Chunk ids with scores, best first."""


@dataclass(frozen=True, slots=True)
class Truth:
    """The exact answer to one question: `above` must be found, of those `level` at the cut any `slots` will do."""

    above: frozenset[str]
    level: frozenset[str]
    slots: int

    @classmethod
    def of(cls, hits: Hits, k: int) -> Truth:
        """Cut exact hits, more than k of them so that ties are seen, after the k-th."""
        cut = hits[min(k, len(hits)) - 1][1]
        above = frozenset(chunk_id for chunk_id, score in hits if score > cut + SAME_SCORE)
        level = frozenset(chunk_id for chunk_id, score in hits if abs(score - cut) <= SAME_SCORE)
        return cls(above, level, min(k, len(hits)) - len(above))

    def recall(self, found: Sequence[str]) -> float:
        """Return |found ∩ exact| / k; equal scores at the cut are equally right, but fill no place of a better one."""
        level = min(len(self.level.intersection(found)), self.slots)
        return (len(self.above.intersection(found)) + level) / (len(self.above) + self.slots)


def study_vectors(
    client: Elasticsearch,
    collection: Collection,
    vectors: Vector,
    *,
    builds: Sequence[Build],
    num_candidates: Sequence[int],
    oversample: Sequence[float] = (),
    k: int = 10,
    repeats: int = 3,
    progress: Progress = lambda _: None,
) -> VectorStudy:
    """Try every build with every way of searching it, on the questions' `vectors` of shape (q, d).

    `oversample` (1 to 10, or 0 for none) is tried on quantised types only, beside the server's default.
    The questions are gone through `repeats` times and each counts with its fastest search, so that what else the
    machine does at times decides nothing; p50 and p95 are over questions.
    A build that the server refuses is listed in `refused`, and the others are tried; raise `ElasticsearchError` if the
    exact index cannot be built, `UsageError` for what cannot be searched with.
    """
    _check(collection, vectors, num_candidates, oversample, k, repeats)
    depths = sorted({max(k, number) for number in num_candidates})
    with built_index(client, collection, EXACT, progress) as exact:
        if not exact.vectors:
            raise EvaluationError(f"The collection {collection.name!r} has no vectors to study.")
        progress(f"{EXACT}: searching")
        trial = _Trial(client=client, vectors=vectors, truths=_truths(client, exact, vectors, k), k=k, repeats=repeats)
        arms = [trial.arm(exact, k, None)]
    refused: dict[str, str] = {}
    for build in (build for build in dict.fromkeys(builds) if build != EXACT):
        try:
            with built_index(client, collection, build, progress) as built:
                _same_collection(collection, exact, built)
                for number, times in _searches(built, depths, oversample):
                    progress(f"{build}: searching, num_candidates={number}, oversample={times}")
                    arms.append(trial.arm(built, number, times))
        except ElasticsearchUnavailableError:
            raise
        except ElasticsearchError as error:
            refused[str(build)] = str(error)
    return VectorStudy(
        collection=collection.name,
        index=collection.index,
        vectors=exact.vectors,
        dimension=collection.dimension,
        queries=len(vectors),
        k=k,
        repeats=repeats,
        arms=tuple(arms),
        refused=refused,
    )


def _check(
    collection: Collection,
    vectors: Vector,
    num_candidates: Sequence[int],
    oversample: Sequence[float],
    k: int,
    repeats: int,
) -> None:
    if vectors.ndim != 2 or not len(vectors) or vectors.shape[1] != collection.dimension:
        raise UsageError(
            f"The questions' vectors have the shape {vectors.shape}; {collection.name!r} needs (q, "
            f"{collection.dimension}) with at least one question."
        )
    if not 1 <= k <= 1000 or repeats < 1:
        raise UsageError(f"k must be 1 to 1000 and repeats at least 1, not {k} and {repeats}.")
    if not num_candidates or not all(1 <= number <= 10_000 for number in num_candidates):
        raise UsageError("num_candidates needs numbers from 1 to 10,000.")
    if not all(times == 0 or 1 <= times <= 10 for times in oversample):
        raise UsageError("oversample takes numbers from 1 to 10, or 0 for no rescoring.")


def _same_collection(collection: Collection, exact: Built, built: Built) -> None:
    if built.vectors != exact.vectors:
        raise EvaluationError(
            f"The collection {collection.name!r} changed while it was studied ({exact.vectors} vectors, then "
            f"{built.vectors}): try again when nothing is being indexed into it."
        )


def _searches(built: Built, depths: Sequence[int], oversample: Sequence[float]) -> Iterator[tuple[int, float | None]]:
    """Cross the ways of searching; asking for what the server does anyhow would measure one arm twice."""
    asked = [times for times in dict.fromkeys(oversample) if built.build.quantised and times != built.oversample]
    return ((number, times) for times in (None, *asked) for number in depths)


def _truths(client: Elasticsearch, exact: Built, vectors: Vector, k: int) -> list[Truth]:
    """Answer exactly, ten times deeper than the cut so that ties beyond it are known."""
    depth = min(10 * k, 10_000)
    with elasticsearch_errors("searching exactly"):
        return [Truth.of(_search(client, exact.index, knn_of(v, depth, depth, None)), k) for v in vectors]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """The questions that every arm is tried on."""

    client: Elasticsearch
    vectors: Vector
    truths: Sequence[Truth]
    k: int
    repeats: int

    def arm(self, built: Built, num_candidates: int, oversample: float | None) -> Arm:
        bodies = [knn_of(vector, self.k, num_candidates, oversample) for vector in self.vectors]
        all_times = np.empty((self.repeats, len(bodies)))
        with elasticsearch_errors(f"searching {built.build}"):
            for knn in bodies[:WARM_UP]:
                _search(self.client, built.index, knn)
            for times in all_times:
                found = []
                for column, knn in enumerate(bodies):
                    started = perf_counter()
                    hits = _search(self.client, built.index, knn)
                    times[column] = 1000 * (perf_counter() - started)
                    found.append([chunk_id for chunk_id, _ in hits])
        recall = float(np.mean([truth.recall(ids) for truth, ids in zip(self.truths, found, strict=True)]))
        p50, p95 = (float(value) for value in np.percentile(all_times.min(axis=0), [50, 95]))
        return Arm(
            built=built, num_candidates=num_candidates, oversample=oversample, recall=recall, p50_ms=p50, p95_ms=p95
        )


def knn_of(vector: Vector, k: int, num_candidates: int, oversample: float | None) -> dict[str, Any]:
    """Build the `knn` of one search for a vector of shape (d,)."""
    knn: dict[str, Any] = {"field": FIELD, "query_vector": vector, "k": k, "num_candidates": num_candidates}
    return knn if oversample is None else {**knn, "rescore_vector": {"oversample": oversample}}


def _search(client: Elasticsearch, index: str, knn: dict[str, Any]) -> list[tuple[str, float]]:
    response = client.search(index=index, knn=knn, size=knn["k"], source=False, track_total_hits=False)
    return [(hit["_id"], hit["_score"]) for hit in response["hits"]["hits"]]
