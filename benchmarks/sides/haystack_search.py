"""Haystack's side of searching, as its documentation builds it; all other settings are each component's defaults.

Runs in an environment of its own and imports nothing of ours but what times and hands over.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from haystack import Document, Pipeline
from haystack.components.joiners import DocumentJoiner
from haystack.document_stores.types import DuplicatePolicy
from haystack.utils import ComponentDevice
from haystack_integrations.components.embedders.sentence_transformers import SentenceTransformersTextEmbedder
from haystack_integrations.components.rankers.sentence_transformers import SentenceTransformersSimilarityRanker
from haystack_integrations.components.retrievers.elasticsearch import (
    ElasticsearchBM25Retriever,
    ElasticsearchEmbeddingRetriever,
)
from haystack_integrations.document_stores.elasticsearch import ElasticsearchDocumentStore

from benchmarks.sides.task import run_task
from benchmarks.sides.theirs import Ask, Found, ask_all, elasticsearch_options, read_rows, serve


def _store(job: dict[str, Any], index: str) -> ElasticsearchDocumentStore:
    options = elasticsearch_options()
    options.pop("api_key", None)  # the store reads ELASTIC_API_KEY itself
    return ElasticsearchDocumentStore(hosts=job["es_url"], index=index, **options)


def fill(job: dict[str, Any]) -> dict[str, Any]:
    """Write the copied texts with their vectors into the store's own index."""
    rows, vectors = read_rows(job["folder"], questions=job["questions"])
    documents = [
        Document(id=row["id"], content=row["text"], meta=row["meta"], embedding=vector)
        for row, vector in zip(rows, vectors, strict=True)
    ]
    store = _store(job, job["index"])
    store.write_documents(documents, policy=DuplicatePolicy.OVERWRITE)
    if (count := store.count_documents()) != len(rows):
        raise RuntimeError(f"{len(rows)} texts, but {count} Documents were written.")
    return {"documents": len(rows)}


def _pipeline(job: dict[str, Any], index: str, *, rerank: bool) -> Ask:
    store, device = _store(job, index), ComponentDevice.from_str("cpu")
    pipeline = Pipeline()
    embedder = SentenceTransformersTextEmbedder(
        model=job["model_folder"], device=device, prefix=job["query_prompt"], progress_bar=False
    )
    pipeline.add_component("embedder", embedder)
    pipeline.add_component("dense", ElasticsearchEmbeddingRetriever(document_store=store, top_k=job["leg_k"]))
    pipeline.add_component("bm25", ElasticsearchBM25Retriever(document_store=store, top_k=job["leg_k"]))
    top_k = job["candidates"] if rerank else job["top_k"]
    pipeline.add_component("joiner", DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=top_k))
    pipeline.connect("embedder.embedding", "dense.query_embedding")
    pipeline.connect("dense", "joiner")
    pipeline.connect("bm25", "joiner")
    if rerank:
        ranker = SentenceTransformersSimilarityRanker(model=job["reranker_folder"], device=device, top_k=job["top_k"])
        pipeline.add_component("ranker", ranker)
        pipeline.connect("joiner", "ranker.documents")
    pipeline.warm_up()

    def ask(query: str) -> Found:
        inputs: dict[str, Any] = {"embedder": {"text": query}, "bm25": {"query": query}}
        if rerank:
            inputs["ranker"] = {"query": query}
        documents = pipeline.run(inputs)["ranker" if rerank else "joiner"]["documents"]
        return [{"doc_id": document.meta["doc_id"], "text": document.content} for document in documents]

    return ask


def search(job: dict[str, Any]) -> dict[str, Any]:
    """Ask one pipeline in this process (no HTTP)."""
    ask = _pipeline(job, job["index"], rerank=job["rerank"])
    return ask_all(ask, job["queries"], timed=job["timed"], passes=job["passes"])


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        given = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
        pipelines = {"hybrid": _pipeline(given, given["index"], rerank=False)}
        pipelines["hybrid_rerank"] = _pipeline(given, given["index"], rerank=True)
        serve(pipelines, given["port"], one_at_a_time=given["one_at_a_time"])
    else:
        run_task({"fill": fill, "search": search})
