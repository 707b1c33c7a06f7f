"""Haystack's side, as its documentation builds it: the default settings of each component, the same model and node.

Runs in an environment of its own and imports nothing of ours but the clock.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from haystack import Document, Pipeline
from haystack.components.joiners import DocumentJoiner
from haystack.components.writers import DocumentWriter
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils import ComponentDevice
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)
from haystack_integrations.components.retrievers.elasticsearch import (
    ElasticsearchBM25Retriever,
    ElasticsearchEmbeddingRetriever,
)
from haystack_integrations.document_stores.elasticsearch import ElasticsearchDocumentStore

from benchmarks.task import run_task

VERSIONS = ("haystack-ai", "elasticsearch-haystack", "sentence-transformers-haystack", "elasticsearch")


class _TimedStore(ElasticsearchDocumentStore):  # type: ignore[misc]
    """The store, adding up the seconds it takes to write."""

    seconds = 0.0

    def write_documents(self, documents: list[Any], *arguments: Any, **options: Any) -> int:  # noqa: ANN401
        started = time.perf_counter()
        written = int(super().write_documents(documents, *arguments, **options))
        self.seconds += time.perf_counter() - started
        return written


def _store(job: dict[str, Any]) -> _TimedStore:
    options: dict[str, Any] = {}
    if "BOTHWAYS_ES_USER" in os.environ:
        options["basic_auth"] = (os.environ["BOTHWAYS_ES_USER"], os.environ["BOTHWAYS_ES_PASSWORD"])
    if "BOTHWAYS_ES_CA_CERTS" in os.environ:
        options["ca_certs"] = os.environ["BOTHWAYS_ES_CA_CERTS"]
    return _TimedStore(hosts=job["es_url"], index=job["index"], request_timeout=60, **options)


def _documents(rows: list[dict[str, Any]]) -> Iterator[Document]:
    """Make a Document of each chunk and of each of its questions, which name their chunk in `meta`."""
    for row in rows:
        yield Document(id=row["chunk_id"], content=row["text"], meta={**row["meta"], "chunk_id": row["chunk_id"]})
        for number, question in enumerate(row["questions"]):
            meta = {**row["meta"], "chunk_id": row["chunk_id"], "tag": "syn"}
            yield Document(id=f"{row['chunk_id']}-q{number}", content=question, meta=meta)


def index(job: dict[str, Any]) -> dict[str, Any]:
    """Embed and write all texts in one run of the pipeline; the model is loaded before the clock starts."""
    with Path(job["texts"]).open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    started = time.perf_counter()
    store = _store(job)
    embedder = SentenceTransformersDocumentEmbedder(
        model=job["model_folder"], device=ComponentDevice.from_str("cpu"), progress_bar=False
    )
    pipeline = Pipeline()
    pipeline.add_component("embedder", embedder)
    pipeline.add_component("writer", DocumentWriter(store, policy=DuplicatePolicy.OVERWRITE))
    pipeline.connect("embedder.documents", "writer.documents")
    pipeline.warm_up()
    sampled = embedder.run([Document(content=text) for text in job["sample"]])["documents"]
    count = store.count_documents()  # also makes the index
    loaded = time.perf_counter()
    pipeline.run({"embedder": {"documents": list(_documents(rows))}})
    seconds = time.perf_counter() - loaded
    written = store.count_documents() - count
    questions = sum(len(row["questions"]) for row in rows)
    if written != len(rows) + questions:
        raise RuntimeError(f"{len(rows)} chunks and {questions} questions, but {written} Documents were written.")
    return {
        "seconds": seconds,
        "load_seconds": loaded - started,
        "encode_seconds": seconds - store.seconds,
        "chunks": len(rows),
        "questions": questions,
        "sample": [document.embedding for document in sampled],
        "versions": {name: version(name) for name in VERSIONS},
    }


def search(job: dict[str, Any]) -> dict[str, Any]:
    """Ask every query of the hybrid pipeline, in this process (no HTTP), pass by pass."""
    store = _store(job)
    pipeline = Pipeline()
    pipeline.add_component(
        "embedder",
        SentenceTransformersTextEmbedder(
            model=job["model_folder"],
            device=ComponentDevice.from_str("cpu"),
            prefix=job["query_prompt"],
            progress_bar=False,
        ),
    )
    pipeline.add_component("dense", ElasticsearchEmbeddingRetriever(document_store=store, top_k=job["leg_k"]))
    pipeline.add_component("bm25", ElasticsearchBM25Retriever(document_store=store, top_k=job["leg_k"]))
    pipeline.add_component("joiner", DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=job["top_k"]))
    pipeline.connect("embedder.embedding", "dense.query_embedding")
    pipeline.connect("dense", "joiner")
    pipeline.connect("bm25", "joiner")
    pipeline.warm_up()
    rows: list[dict[str, float]] = []
    for number in range(job["passes"] + 1):
        for query in job["queries"]:
            started = time.perf_counter()
            found = pipeline.run({"embedder": {"text": query}, "bm25": {"query": query}})["joiner"]["documents"]
            ms = 1000 * (time.perf_counter() - started)
            if not found:
                raise RuntimeError(f"Haystack finds nothing for {query!r}.")
            if number:  # the first pass only warms everything up
                rows.append({"pipeline": ms})
    return {"rows": rows}


if __name__ == "__main__":
    run_task({"index": index, "search": search})
