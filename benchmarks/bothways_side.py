"""Our side: the texts for both, `index_path` as `bothways index` calls it, and searches over HTTP."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from benchmarks.task import run_task
from core.datatypes import Failure, Vector
from core.models.encoder import load_encoder
from core.models.folder import read_query_prompt
from core.models.protocols import Encoder
from core.models.resolve import resolve_model
from core.models.weights import ensure_torch_weights
from core.settings import Settings, settings
from indexer.build import build_parts, build_writer
from indexer.chunk import chunk
from indexer.expand import expand
from indexer.job import index_path
from indexer.parts import JobOptions
from indexer.read import read
from search.build import build_searcher, default_options
from search.pipeline import Searcher


class _TimedEncoder:
    """An encoder that adds up the seconds it is at work."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.name = encoder.name
        self.dimension = encoder.dimension
        self.seconds = 0.0

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        started = time.perf_counter()
        vectors = self._encoder.encode_documents(texts)
        self.seconds += time.perf_counter() - started
        return vectors

    def encode_queries(self, texts: Sequence[str]) -> Vector:
        return self._encoder.encode_queries(texts)


class _Recorder:
    """A client that keeps the last `_msearch` that went through it."""

    def __init__(self, client: Elasticsearch) -> None:
        self._client = client
        self.searches: Any = None

    def msearch(self, *, searches: Any) -> Any:  # noqa: ANN401 - as the client has it
        self.searches = searches
        return self._client.msearch(searches=searches)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the client has
        return getattr(self._client, name)


def _raise(failure: Failure) -> None:
    raise RuntimeError(f"{failure.stage} {failure.item}: {failure.reason}")


def prepare(job: dict[str, Any]) -> dict[str, Any]:
    """Write what Haystack is given: each chunk's text as we embed it, and its questions; make its model's folder."""
    chosen = settings()
    writer = build_writer(chosen, Path(job["questions"]))
    documents = read(Path(job["documents"]), max_file_mb=chosen.max_file_mb, on_failure=_raise)
    chunks = chunk(documents, max_chars=chosen.chunk_max_chars)
    counts = {"chunks": 0, "questions": 0}
    with Path(job["texts"]).open("w", encoding="utf-8") as out:
        for expanded in expand(chunks, writer, concurrency=1, on_failure=_raise):
            piece = expanded.chunk
            row = {
                "chunk_id": piece.chunk_id,
                "text": piece.indexed_text,
                "questions": expanded.questions,
                "meta": {**piece.metadata, "doc_id": piece.doc_id, "title": piece.title, "source": piece.source},
            }
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            counts["chunks"] += 1
            counts["questions"] += len(expanded.questions)
    folder = resolve_model(chosen.embedding_model, cache_dir=chosen.cache_dir, weights="torch")
    ensure_torch_weights(folder)
    prompt = read_query_prompt(folder) if chosen.query_prompt is None else chosen.query_prompt
    return {**counts, "model_folder": str(folder), "query_prompt": prompt}


def index(job: dict[str, Any]) -> dict[str, Any]:
    """Index a folder into a new collection; the models are loaded before the clock starts."""
    chosen = settings()
    started = time.perf_counter()
    parts = build_parts(chosen, writer=build_writer(chosen, Path(job["questions"])))
    encoder = _TimedEncoder(parts.encoder())
    parts.segmenter.warm_up()
    sample = encoder.encode_documents(job["sample"]).tolist()
    encoder.seconds = 0.0
    loaded = time.perf_counter()
    options = JobOptions(
        job["collection"], max_chars=chosen.chunk_max_chars, max_file_mb=chosen.max_file_mb, concurrency=1
    )
    report = index_path(Path(job["documents"]), options, replace(parts, encoder=lambda: encoder))
    seconds = time.perf_counter() - loaded
    for failure in report.failures:
        _raise(failure)
    return {
        "seconds": seconds,
        "load_seconds": loaded - started,
        "encode_seconds": encoder.seconds,
        "chunks": report.indexed,
        "questions": report.questions,
        "sample": sample,
    }


def search(job: dict[str, Any]) -> dict[str, Any]:
    """Ask every query over HTTP, and time right after it the encoder alone and the same `_msearch` alone."""
    chosen = settings()
    queries: list[str] = job["queries"]
    searcher, _ = build_searcher(chosen)
    encoder = load_encoder(chosen)
    bodies = _bodies(searcher, encoder, chosen, job["collection"], queries)
    server = http.client.HTTPConnection("127.0.0.1", job["port"], timeout=60)
    rows: list[dict[str, float]] = []
    for number in range(job["passes"] + 1):
        for query, searches in zip(queries, bodies, strict=True):
            row = {
                **_ask(server, query, job["collection"]),
                **_encode(encoder, query),
                **_msearch(searcher.client, searches),
            }
            if number:  # the first pass only warms everything up
                rows.append(row)
    return {"rows": rows}


def _bodies(real: Searcher, encoder: Encoder, chosen: Settings, collection: str, queries: Sequence[str]) -> list[Any]:
    """Give the `_msearch` that a search sends, for each query, by listening to the searches themselves."""
    recorder = _Recorder(real.client)
    searcher = Searcher(
        recorder,  # type: ignore[arg-type]
        real.segmenter,
        lambda: encoder,
        embedding_model=chosen.embedding_model,
    )
    options = replace(default_options(chosen), strategy="hybrid")
    bodies = []
    for query in queries:
        searcher.search(query, collection, options)
        bodies.append(recorder.searches)
    return bodies


def _ask(server: http.client.HTTPConnection, query: str, collection: str) -> dict[str, float]:
    body = json.dumps({"query": query, "collection": collection, "strategy": "hybrid"}).encode()
    started = time.perf_counter()
    server.request("POST", "/api/v1/search", body, {"content-type": "application/json"})
    response = server.getresponse()
    answer = response.read()
    ms = 1000 * (time.perf_counter() - started)
    told = json.loads(answer)
    if response.status != 200 or not told["hits"] or told["degraded"]:
        raise RuntimeError(f"The search for {query!r} gave {response.status}: {answer[:500]!r}")
    return {"http": ms, **{f"server_{stage}": value for stage, value in told["timings_ms"].items()}}


def _msearch(client: Elasticsearch, searches: Any) -> dict[str, float]:  # noqa: ANN401 - as the client has it
    started = time.perf_counter()
    took = client.msearch(searches=searches)["took"]
    return {"msearch_alone": 1000 * (time.perf_counter() - started), "took": float(took)}


def _encode(encoder: Encoder, query: str) -> dict[str, float]:
    started = time.perf_counter()
    encoder.encode_queries([query])
    return {"encoder_alone": 1000 * (time.perf_counter() - started)}


if __name__ == "__main__":
    run_task({"prepare": prepare, "index": index, "search": search})
