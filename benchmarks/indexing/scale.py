"""Milliseconds a search as a collection grows: the table of the systems that Bothways comes from, and ours beside it.

`python -m benchmarks.indexing.scale`. Law articles, then their questions as chunks of their own, then
variations of both, to the same three sizes; see `benchmarks.shared.made_up` for how texts and vectors are made.
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from benchmarks.shared.alone import options, run_alone, say
from benchmarks.shared.corpus import find_corpus, read_queries
from benchmarks.shared.made_up import ReadySegmenter, real_chunks, separate, varied
from benchmarks.shared.measure import percentile
from benchmarks.shared.report import Benchmark, Row, Target
from benchmarks.sides.run import BenchmarkError
from bothways.core.datatypes import Chunk, EmbeddedChunk, ExpandedChunk, Vector
from bothways.core.elastic.build_mode import begin_build, end_build, without_graphs
from bothways.core.settings import Settings
from bothways.indexer.bulk import bulk, to_action
from bothways.indexer.versions.merge import merge
from bothways.indexer.versions.versions import chunk_mapping
from bothways.models.embed.encoder import load_encoder
from bothways.search.retrieve.bodies import bm25_body, knn_body

SEEDS = {1_909: (1.0, 0.5), 11_454: (6.8, 2.0), 101_177: (35.7, 14.9)}
"""Chunks, and what the seeds' own table gives for them: ms of their BM25, and of their vector search."""
LEG_MS = 10.0
BOTH_MS = 14.0
EXACT = 20
"""Questions that are also searched for exactly, for the recall."""
KINDS = ("bm25", "dense", "both")

ABOUT = """\
- Chunks: law articles, then their recorded questions as chunks of their own ({real} in all), then variations: half of
  one text's clauses, half of another's, the vector between theirs. No questions are nested in the chunks.
- Ours: the bodies of a search (`bothways.search.retrieve.bodies`): BM25 over two fields, kNN with {candidates}
  candidates, {k} hits a leg with all that is shown of them; `bm25` and `dense` each by `_search`, `both` in one
  `_msearch`. Wall time at the client, {queries} real questions, {passes} passes after one to warm up; the three take
  turns on each question.
- The index is as a build of ours leaves it: merged, {segments} segment(s) at the largest size. Recall is that of the
  dense leg's first 10 against exact search.
- The seeds' figures are as they were published with them, from another machine."""


def run(wanted: argparse.Namespace, chosen: Settings, client: Elasticsearch) -> Benchmark:
    """Build an index of each size in turn, search it, and remove it."""
    corpus = find_corpus()
    queries = read_queries(corpus.queries)[: wanted.queries]
    chance = np.random.default_rng(1)
    chunks = separate(real_chunks(corpus, chosen))
    say(f"scale: encoding {len(chunks):,} texts …")
    encoder = load_encoder(chosen)
    vectors = encoder.encode_documents([chunk.indexed_text for chunk in chunks])
    asked = encoder.encode_queries(queries)
    measured: dict[int, dict[str, list[float]]] = {}
    recalls: dict[int, float] = {}
    segments = 0
    with TemporaryDirectory(prefix="bothways-bench-") as folder:
        segmenter = ReadySegmenter(Path(folder))
        for size in wanted.sizes:
            index = f"bench-scale-{uuid.uuid4().hex[:12]}"
            say(f"scale: building {size:,} chunks …")
            try:
                _build(client, index, varied(chunks, vectors, size, chance), segmenter, size)
                bodies = [
                    _bodies(segmenter.words(query), query, vector, chosen)
                    for query, vector in zip(queries, asked, strict=True)
                ]
                segments = len(client.cat.segments(index=index, format="json"))
                say(f"scale: searching {size:,} chunks in {segments} segments …")
                measured[size] = _search(client, index, bodies, wanted.passes)
                recalls[size] = _recall(client, index, [dense for _, dense in bodies[:EXACT]])
            finally:
                client.indices.delete(index=index, ignore_unavailable=True)
    about = ABOUT.format(
        real=f"{len(chunks):,}",
        candidates=chosen.num_candidates,
        k=chosen.leg_k,
        queries=len(queries),
        passes=wanted.passes,
        segments=segments,
    )
    return compare(measured, about, recalls)


def compare(
    measured: Mapping[int, Mapping[str, Sequence[float]]], about: str, recalls: Mapping[int, float]
) -> Benchmark:
    """Make the table, with targets at the largest of the seeds' sizes."""
    rows = []
    for size, kinds in measured.items():
        theirs: Sequence[float | None] = (*SEEDS.get(size, (None, None)), None)
        for kind, seeds in zip(KINDS, theirs, strict=True):
            p50 = percentile(kinds[kind], 50)
            most = BOTH_MS if kind == "both" else LEG_MS
            name = f"{size:,} chunks: {kind}"
            target = Target(name=f"scale: {name}, p50 ms", value=p50, at_most=most) if size == max(SEEDS) else None
            rows.append(
                Row(
                    name=f"{name}, p50 ms",
                    bothways=p50,
                    other=seeds,
                    ratio=seeds / p50 if seeds else None,
                    target=target,
                )
            )
            rows.append(Row(name="  p95 ms", bothways=percentile(kinds[kind], 95)))
        rows.append(Row(name=f"{size:,} chunks: dense, recall@10", bothways=recalls[size]))
    raw = {str(size): dict(kinds) for size, kinds in measured.items()}
    return Benchmark(name="scale", about=about, rows=tuple(rows), facts={}, raw=raw, other="the seeds")


def _build(
    client: Elasticsearch,
    index: str,
    chunks: Iterator[tuple[Chunk, Vector]],
    segmenter: ReadySegmenter,
    size: int,
) -> None:
    """Build as a job does: a quiet index, packed vectors, woken and merged at the end."""
    first, vector = next(chunks)
    mapping = chunk_mapping(embedding_model="made-up", dimension=len(vector), analyzer=segmenter.name)
    client.indices.create(index=index, **without_graphs(mapping))
    begin_build(client, index)
    no_questions = np.empty((0, len(vector)), np.float32)
    started = time.perf_counter()
    embedded = (
        EmbeddedChunk(ExpandedChunk(chunk), its_vector, no_questions)
        for chunk, its_vector in chain([(first, vector)], chunks)
    )
    report = bulk(client, (to_action(each, index=index, origin="bench", segmenter=segmenter) for each in embedded))
    end_build(client, index)
    say(f"scale: sent in {time.perf_counter() - started:.0f} s, merging …")
    merge(client, index)
    if report.failures or report.ok != size:
        raise BenchmarkError(f"{report.ok:,} of {size:,} chunks were indexed: {report.failures[:1]}")
    say(f"scale: {size:,} chunks in {time.perf_counter() - started:.0f} s")


def _bodies(words: list[str], query: str, vector: Vector, chosen: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    bm25 = bm25_body(words, query, k=chosen.leg_k)
    dense = knn_body(vector, field="text_sem", k=chosen.leg_k, num_candidates=chosen.num_candidates)
    return bm25, dense


def _search(
    client: Elasticsearch, index: str, bodies: Sequence[tuple[dict[str, Any], dict[str, Any]]], passes: int
) -> dict[str, list[float]]:
    """Ask every question by each leg alone and by both at once; gives the ms of each."""
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(passes + 1):
        for bm25, dense in bodies:
            ask: dict[str, Callable[[], Any]] = {
                "bm25": lambda body=bm25: client.search(index=index, **_named(body)),
                "dense": lambda body=dense: client.search(index=index, **_named(body)),
                "both": lambda pair=(bm25, dense): client.msearch(
                    searches=[line for body in pair for line in ({"index": index}, body)]
                ),
            }
            for kind in KINDS:
                started = time.perf_counter()
                ask[kind]()
                if number:
                    times[kind].append(1000 * (time.perf_counter() - started))
    return times


def _recall(client: Elasticsearch, index: str, bodies: Sequence[Mapping[str, Any]]) -> float:
    """Return the share of the ten nearest by exact search that are among the first ten of the dense leg, on average."""
    shares = []
    for body in bodies:
        knn = body["knn"]
        source = "cosineSimilarity(params.vector, params.field) + 1.0"
        script = {"source": source, "params": {"vector": knn["query_vector"], "field": knn["field"]}}
        exact = client.options(request_timeout=120).search(
            index=index, size=10, source=False, query={"script_score": {"query": {"match_all": {}}, "script": script}}
        )
        found = client.search(index=index, size=10, source=False, knn=knn)
        both = [{hit["_id"] for hit in answer["hits"]["hits"]} for answer in (exact, found)]
        shares.append(len(both[0] & both[1]) / max(1, len(both[0])))
    return sum(shares) / len(shares)


def _named(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body's parts by the names that the client's `search` has for them."""
    return {"source" if name == "_source" else name: value for name, value in body.items()}


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.replace("_", "").split(",")]


if __name__ == "__main__":
    parser = options("indexing.scale", __doc__)
    parser.add_argument("--sizes", type=_sizes, default=list(SEEDS), help="chunks, by commas [the seeds' three]")
    parser.add_argument("--queries", type=int, default=50, help="questions to ask [50, or all there are]")
    parser.add_argument("--passes", type=int, default=10, help="counted passes over the questions [10]")
    sys.exit(run_alone(run, parser))
