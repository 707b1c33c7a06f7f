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

from benchmarks.sides.task import run_task
from bothways.core.datatypes import Failure, Vector
from bothways.core.settings import Settings, settings
from bothways.indexer.build import build_parts, build_writer
from bothways.indexer.chunk import chunk
from bothways.indexer.doc2query.expand import expand
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from bothways.indexer.read import read
from bothways.models.embed.encoder import load_encoder
from bothways.models.files.resolve import resolve_model
from bothways.models.onnx.weights import ensure_torch_weights
from bothways.models.protocols import Encoder
from bothways.search.build import build_searcher
from bothways.search.pipeline import Searcher


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

    def __init__(self, client: Elasticsearch, sent: list[Any] | None = None) -> None:
        self._client = client
        self._sent: list[Any] = sent if sent is not None else []

    @property
    def searches(self) -> Any:  # noqa: ANN401 - as the client has it
        return self._sent[-1]

    def options(self, **chosen: Any) -> _Recorder:  # noqa: ANN401 - as the client's
        return _Recorder(self._client.options(**chosen), self._sent)

    def msearch(self, *, searches: Any) -> Any:  # noqa: ANN401 - as the client has it
        self._sent.append(searches)
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
    return {**counts, "model_folder": str(folder)}


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
        collection=job["collection"], max_chars=chosen.chunk_max_chars, max_file_mb=chosen.max_file_mb, concurrency=1
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
    """Ask over HTTP: every query once for its ranking, then the timed ones; and time what one search is made of.

    `cut_short` counts timed searches whose reranking was left out or ended early. `parts` has, a search of `hybrid`,
    its time over HTTP and right after it that of the encoder alone and of the same `_msearch` alone.
    """
    server = http.client.HTTPConnection("127.0.0.1", job["port"], timeout=60)
    queries: list[str] = job["queries"]
    timed = queries[: job["timed"]]
    rankings: dict[str, dict[str, list[str]]] = {}
    times: dict[str, list[float]] = {}
    cut_short = 0.0
    for strategy in ("hybrid", "hybrid_rerank"):
        asked = queries if strategy == "hybrid" else timed
        rankings[strategy] = {query: _ask(server, query, job, strategy)[1] for query in asked}
        passes = job["passes"] if strategy == "hybrid" else job["rerank_passes"]
        done = [_ask(server, query, job, strategy)[0] for _ in range(passes) for query in timed]
        times[strategy] = [row["http"] for row in done]
        cut_short += sum(row["cut_short"] for row in done)
    return {"rankings": rankings, "ms": times, "cut_short": cut_short, "parts": _parts(server, timed, job)}


def _parts(server: http.client.HTTPConnection, queries: list[str], job: dict[str, Any]) -> list[dict[str, float]]:
    chosen = settings()
    searcher, _ = build_searcher(chosen)
    encoder = load_encoder(chosen)
    bodies = _bodies(searcher, encoder, chosen, job["collection"], queries)
    return [
        {**_ask(server, query, job, "hybrid")[0], **_encode(encoder, query), **_msearch(searcher.client, searches)}
        for query, searches in zip(queries, bodies, strict=True)
    ]


def _bodies(real: Searcher, encoder: Encoder, chosen: Settings, collection: str, queries: Sequence[str]) -> list[Any]:
    """Return the `_msearch` that a search sends, for each query, by listening to the searches themselves."""
    recorder = _Recorder(real.client)
    searcher = Searcher(
        recorder,  # type: ignore[arg-type]
        real.segmenter,
        lambda: encoder,
        embedding_model=chosen.embedding_model,
    )
    options = chosen.search.replace(strategy="hybrid")
    bodies = []
    for query in queries:
        searcher.search(query, collection, options)
        bodies.append(recorder.searches)
    return bodies


def _ask(
    server: http.client.HTTPConnection, query: str, job: dict[str, Any], strategy: str
) -> tuple[dict[str, float], list[str]]:
    """Search once; gives the ms of client and server, and the documents found, best first."""
    wanted = {"query": query, "collection": job["collection"], "strategy": strategy, "top_k": job["top_k"]}
    body = json.dumps(wanted).encode()
    started = time.perf_counter()
    server.request("POST", "/api/v1/search", body, {"content-type": "application/json"})
    response = server.getresponse()
    answer = response.read()
    ms = 1000 * (time.perf_counter() - started)
    told = json.loads(answer)
    left_out = set(told.get("degraded", [])) - {"rerank"}
    if response.status != 200 or not told["hits"] or left_out:
        raise RuntimeError(f"The search for {query!r} gave {response.status}: {answer[:500]!r}")
    stages = {f"server_{stage}": value for stage, value in told["timings_ms"].items()}
    return {"http": ms, "cut_short": bool(told["degraded"]), **stages}, [hit["doc_id"] for hit in told["hits"]]


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
