"""One side of the bulk benchmark, a program of its own so that its memory is: ready vectors in, searchable out."""

from __future__ import annotations

import pickle
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch, helpers

from benchmarks.sides.task import run_task
from bothways.core.datatypes import EmbeddedChunk
from bothways.core.elastic.build_mode import begin_build, end_build, without_graphs
from bothways.core.settings import Settings, settings
from bothways.indexer.bulk import bulk, to_action
from bothways.indexer.versions.merge import merge
from bothways.indexer.versions.versions import chunk_mapping
from bothways.node import find_login
from bothways.node.connect import connect


class _Words:
    """Words that were cut before the clock started."""

    def __init__(self, words: dict[str, str]) -> None:
        self._words = words

    def segment(self, text: str) -> str:
        return self._words[text]


def _load(job: dict[str, Any]) -> tuple[list[EmbeddedChunk], _Words]:
    chunks, words = pickle.loads(Path(job["chunks"]).read_bytes())
    return chunks, _Words(words)


def _timed(client: Elasticsearch) -> list[float]:
    """Note how long each request takes from now on, in ms."""
    durations: list[float] = []
    original = client.transport.perform_request

    def perform_request(*given: Any, **named: Any) -> Any:  # noqa: ANN401 – as the client has it
        started = time.perf_counter()
        response = original(*given, **named)
        durations.append(1000 * (time.perf_counter() - started))
        return response

    client.transport.perform_request = perform_request  # type: ignore[method-assign]
    return durations


def _plain_client(chosen: Settings, url: str) -> Elasticsearch:
    options: dict[str, Any] = {"request_timeout": chosen.es_timeout_s}
    if chosen.es_api_key:
        options["api_key"] = chosen.es_api_key.get_secret_value()
    elif chosen.es_user and chosen.es_password:
        options["basic_auth"] = (chosen.es_user, chosen.es_password.get_secret_value())
    elif login := find_login(chosen, chosen.es_url or url):
        options["basic_auth"] = (login.user, login.password)
    if chosen.es_ca_certs:
        options["ca_certs"] = str(chosen.es_ca_certs)
    return Elasticsearch(chosen.es_url or url, **options)


def _new_index() -> str:
    return f"bench-bulk-{uuid.uuid4().hex[:12]}"


def _mapping(chunks: list[EmbeddedChunk]) -> dict[str, Any]:
    return chunk_mapping(embedding_model="made-up", dimension=len(chunks[0].vector), analyzer="jieba")


def _result(client: Elasticsearch, index: str, seconds: float, durations: list[float]) -> dict[str, Any]:
    count = int(client.count(index=index)["count"])
    started = time.perf_counter()
    merge(client, index)
    return {
        "docs": count,
        "seconds": seconds,
        "merge_seconds": time.perf_counter() - started,
        "requests_ms": durations,
    }


def plain(job: dict[str, Any]) -> dict[str, Any]:
    """`helpers.bulk` as anybody would call it: vectors by `tolist`, all its defaults, then a refresh."""
    chunks, words = _load(job)
    chosen = settings()
    ours, server = connect(chosen)
    client = _plain_client(chosen, server.url)
    index = _new_index()

    def actions() -> Iterator[dict[str, Any]]:
        for each in chunks:
            action = to_action(each, index=index, origin="bench", segmenter=words, packed=True)  # type: ignore[arg-type]
            action["text_sem"] = each.vector.tolist()
            for question, vector in zip(action["questions"], each.question_vectors, strict=True):
                question["text_sem"] = vector.tolist()
            yield action

    try:
        ready = list(actions()) if job["ready"] else actions()
        durations = _timed(client)
        started = time.perf_counter()
        client.indices.create(index=index, **_mapping(chunks))
        before = len(durations)
        helpers.bulk(client, ready)
        sent = len(durations)
        client.indices.refresh(index=index)
        return _result(client, index, time.perf_counter() - started, durations[before:sent])
    finally:
        client.indices.delete(index=index, ignore_unavailable=True)
        client.close()
        ours.close()


def bothways(job: dict[str, Any]) -> dict[str, Any]:
    """`bothways.indexer.bulk` into a quiet index, as a build does, until everything is searchable."""
    chunks, words = _load(job)
    client, server = connect(settings())
    index = _new_index()
    packed = server.takes_packed_vectors
    try:
        durations = _timed(client)
        started = time.perf_counter()
        client.indices.create(index=index, **without_graphs(_mapping(chunks)))
        begin_build(client, index)
        before = len(durations)
        actions = (to_action(each, index=index, origin="bench", segmenter=words, packed=packed) for each in chunks)  # type: ignore[arg-type]
        report = bulk(client, actions)
        sent = len(durations)
        end_build(client, index)
        seconds = time.perf_counter() - started
        if report.failures:
            raise RuntimeError(str(report.failures[0]))
        return _result(client, index, seconds, durations[before:sent])
    finally:
        client.indices.delete(index=index, ignore_unavailable=True)
        client.close()


if __name__ == "__main__":
    run_task({"plain": plain, "bothways": bothways})
