"""The job whose memory is measured, as a program of its own."""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sides.task import run_task
from bothways.core.datatypes import Vector
from bothways.core.settings import settings
from bothways.indexer.build import build_parts
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions

DIMENSION = 512


class _Noise:
    """Takes no time and no memory: a text's vector is noise that its checksum begins."""

    name = "bench/noise"
    dimension = DIMENSION

    def encode_documents(self, texts: Sequence[str]) -> Vector:
        seeds = (np.random.default_rng(zlib.crc32(text.encode())) for text in texts)
        vectors = np.stack([seed.standard_normal(DIMENSION, np.float32) for seed in seeds])
        result: Vector = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return result

    encode_queries = encode_documents


def index(job: dict[str, Any]) -> dict[str, Any]:
    """Index a file as `bothways index --no-questions` does."""
    encoder = _Noise()
    parts = replace(build_parts(settings(), writer=None), encoder=lambda: encoder, embedding_model=encoder.name)
    started = time.perf_counter()
    report = index_path(Path(job["path"]), JobOptions(collection=job["collection"]), parts)
    if not report.succeeded:
        raise RuntimeError(f"The job failed: {report.failures[:1]} {report.held}")
    return {"documents": report.documents, "chunks": report.chunks, "seconds": time.perf_counter() - started}


if __name__ == "__main__":
    run_task({"index": index})
