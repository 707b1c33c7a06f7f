"""Haystack's side of indexing, as its documentation builds it: each component's defaults, the same model and node.

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
from haystack.components.writers import DocumentWriter
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils import ComponentDevice
from haystack_integrations.components.embedders.sentence_transformers import SentenceTransformersDocumentEmbedder
from haystack_integrations.document_stores.elasticsearch import ElasticsearchDocumentStore

from benchmarks.sides.task import run_task

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


if __name__ == "__main__":
    run_task({"index": index})
