"""LangChain's side of searching: `ElasticsearchStore` with the one hybrid strategy that needs no licence.

Its default, RRF inside Elasticsearch, is refused by a Basic licence; with `rrf=False` the server adds BM25's and kNN's
scores. Runs in Haystack's environment, since both want the Elasticsearch client of version 8.
"""

from __future__ import annotations

from typing import Any

from elasticsearch import Elasticsearch
from langchain_core.embeddings import Embeddings
from langchain_elasticsearch import DenseVectorStrategy, ElasticsearchStore
from sentence_transformers import SentenceTransformer

from benchmarks.sides.task import run_task
from benchmarks.sides.theirs import Found, ask_all, elasticsearch_options, read_rows


class _SentenceTransformers(Embeddings):
    """The same model, called as langchain-huggingface calls it."""

    def __init__(self, folder: str, prompt: str) -> None:
        self._model = SentenceTransformer(folder, device="cpu")
        self._prompt = prompt

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._model.encode(texts, show_progress_bar=False).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([self._prompt + text])[0]


def _store(job: dict[str, Any]) -> ElasticsearchStore:
    return ElasticsearchStore(
        index_name=job["index"],
        embedding=_SentenceTransformers(job["model_folder"], job["query_prompt"]),
        client=Elasticsearch(job["es_url"], **elasticsearch_options()),
        strategy=DenseVectorStrategy(hybrid=True, rrf=False, text_field="text"),
    )


def fill(job: dict[str, Any]) -> dict[str, Any]:
    """Write the copied texts with their vectors into the store's own index."""
    rows, vectors = read_rows(job["folder"], questions=job["questions"])
    pairs = [(row["text"], vector) for row, vector in zip(rows, vectors, strict=True)]
    _store(job).add_embeddings(pairs, metadatas=[row["meta"] for row in rows], ids=[row["id"] for row in rows])
    return {"documents": len(rows)}


def search(job: dict[str, Any]) -> dict[str, Any]:
    """Ask the store in this process (no HTTP)."""
    store = _store(job)

    def ask(query: str) -> Found:
        return [document.metadata for document in store.similarity_search(query, k=job["top_k"])]

    return ask_all(ask, job["queries"], timed=job["timed"], passes=job["passes"])


if __name__ == "__main__":
    run_task({"fill": fill, "search": search})
