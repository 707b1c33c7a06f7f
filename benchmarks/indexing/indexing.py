"""Chunks a second, from files to searchable: `bothways.indexer.job.index_path` beside Haystack's indexing pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from benchmarks.shared.plan import Plan
from benchmarks.shared.report import Benchmark, Row, Target, row_of
from benchmarks.sides.run import BenchmarkError, run_bothways, run_theirs
from bothways.core.collections.collection import delete_collection
from bothways.core.errors import CollectionNotFoundError

RATIO = 1.3
"""At least so many times Haystack's chunks a second."""

ABOUT = """\
- Both: the same texts and pseudo-questions (recorded, so no language model is asked) through the same model into the
  same node, from a new index to searchable; models are loaded before the clock starts.
- Bothways: files → read → chunk → compare with the index → questions looked up → encode (default backend and batches)
  → jieba → one Elasticsearch document a chunk, questions nested in it → _bulk → alias.
- Haystack: gets the chunks ready-made. Pipeline(SentenceTransformersDocumentEmbedder, cpu, batch_size 32 →
  DocumentWriter(ElasticsearchDocumentStore, overwrite)); each question is a sibling Document with its chunk's id in
  meta. It neither reads, chunks nor segments. All other settings are its defaults (its store waits for the refresh)."""


def run_indexing(plan: Plan, client: Elasticsearch, say: Callable[[str], None]) -> Benchmark:
    """Index on both sides, `plan.repeat` times in alternating order; the indices of the last time stay."""
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []

    def bothways() -> None:
        say("indexing: Bothways …")
        job = {
            "documents": str(plan.documents),
            "questions": str(plan.corpus.questions),
            "collection": plan.collection,
            "sample": plan.sample,
        }
        ours.append(run_bothways("index", job))

    def haystack() -> None:
        say("indexing: Haystack …")
        job = {**plan.haystack_job(), "texts": str(plan.texts), "sample": plan.sample}
        theirs.append(run_theirs("haystack_index", "index", job, plan.settings))

    for number in range(plan.repeat):
        remove_indices(plan, client)
        for side in (bothways, haystack) if number % 2 == 0 else (haystack, bothways):
            side()
    return compare(ours, theirs)


def remove_indices(plan: Plan, client: Elasticsearch) -> None:
    """Remove what a run has made in Elasticsearch, if it is there."""
    try:
        delete_collection(client, plan.collection)
    except CollectionNotFoundError:
        pass
    client.indices.delete(index=plan.haystack_index, ignore_unavailable=True)


def compare(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> Benchmark:
    """Put the two sides' runs into one table. Raise `BenchmarkError` when they did not do the same work."""
    for mine, other in zip(ours, theirs, strict=True):
        if (mine["chunks"], mine["questions"]) != (other["chunks"], other["questions"]):
            raise BenchmarkError(
                f"The sides did not index the same: {mine['chunks']} chunks and {mine['questions']} questions, "
                f"Haystack {other['chunks']} and {other['questions']}."
            )
    cosine = lowest_cosine(ours[0]["sample"], theirs[0]["sample"])
    if cosine < 0.99:
        raise BenchmarkError(f"The sides do not use the same model: their vectors have a cosine of {cosine:.3f}.")
    rates = [sum(run["chunks"] for run in runs) / sum(run["seconds"] for run in runs) for runs in (ours, theirs)]
    target = Target(name="indexing: chunks/s, ratio to Haystack", value=rates[0] / rates[1], at_least=RATIO)

    def mean(key: str, less: str | None = None) -> tuple[float, float]:
        both = [[float(run[key]) - (float(run[less]) if less else 0) for run in runs] for runs in (ours, theirs)]
        return sum(both[0]) / len(ours), sum(both[1]) / len(theirs)

    rows = (
        Row(name="chunks/s", bothways=rates[0], other=rates[1], ratio=target.value, target=target),
        row_of("seconds", *mean("seconds")),
        row_of("  of them encoding", *mean("encode_seconds")),
        row_of("  of them all else", *mean("seconds", less="encode_seconds")),
        row_of("loading models, s (not counted)", *mean("load_seconds")),
        row_of("peak RSS, MB", *mean("peak_rss_mb")),
    )
    facts = {
        "chunks": ours[0]["chunks"],
        "questions": ours[0]["questions"],
        "runs": len(ours),
        "lowest_cosine": cosine,
        "haystack_versions": theirs[0]["versions"],
    }
    raw = {"bothways": [_less_sample(run) for run in ours], "haystack": [_less_sample(run) for run in theirs]}
    return Benchmark(name="indexing", about=ABOUT, rows=rows, facts=facts, raw=raw)


def lowest_cosine(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> float:
    """Return the lowest cosine between vectors of the same texts."""
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    cosines = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return float(cosines.min())


def _less_sample(run: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in run.items() if key != "sample"}
