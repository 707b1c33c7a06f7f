"""Texts a second: our encoder beside sentence-transformers' own `encode`, on real articles, in one process and run.

`python -m benchmarks.models.encoding`. The sides take turns on the same texts, part by part, so that a busy minute
hits both.
"""

from __future__ import annotations

import argparse
import sys
import time
from statistics import median
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from benchmarks.shared.alone import options, run_alone, say
from benchmarks.shared.corpus import find_corpus
from benchmarks.shared.report import Benchmark, Row, Target
from bothways.core.datatypes import ExpandedChunk
from bothways.core.errors import MissingExtraError
from bothways.core.settings import Settings
from bothways.indexer.chunk import chunk
from bothways.indexer.embed import embed
from bothways.indexer.read import read
from bothways.models.embed.encoder import load_encoder
from bothways.models.files.resolve import resolve_model
from bothways.models.onnx.weights import ensure_torch_weights

RATIO = 1.3
COSINE = 0.999
PARTS = 6

ABOUT = """\
- Texts: all chunks of the corpus as they are embedded (heading and text), in {parts} parts of like length; the sides
  take turns, part by part. The ratio is that of the medians of the parts' rates.
- Bothways: `bothways.indexer.embed`, as a job uses it, with the backend and batches of the settings.
- sentence-transformers: `SentenceTransformer(folder, device="cpu").encode(texts)`, all else its defaults.
- Both have encoded some texts before the clock starts."""


def run(wanted: argparse.Namespace, chosen: Settings, _: Elasticsearch) -> Benchmark:
    """Encode the corpus on both sides, part by part."""
    theirs, version = _sentence_transformers(chosen)
    encoder = load_encoder(chosen)
    documents = read(find_corpus().documents, max_file_mb=chosen.max_file_mb, on_failure=_ignore)
    chunks = [ExpandedChunk(piece) for piece in chunk(documents, max_chars=chosen.chunk_max_chars)][: wanted.limit]
    parts = [chunks[start::PARTS] for start in range(PARTS)]
    list(embed(parts[0][:64], encoder))
    theirs.encode([each.chunk.indexed_text for each in parts[0][:64]])
    rates: dict[str, list[float]] = {"bothways": [], "sentence_transformers": []}
    lowest = 1.0
    for number, part in enumerate(parts * wanted.repeat):
        say(f"encoding: part {number + 1} of {PARTS * wanted.repeat} …")
        vectors: dict[str, Any] = {}
        for side in sorted(rates, reverse=bool(number % 2)):
            texts = [each.chunk.indexed_text for each in part]
            started = time.perf_counter()
            if side == "bothways":
                vectors[side] = np.stack([done.vector for done in embed(part, encoder)])
            else:
                vectors[side] = theirs.encode(texts, show_progress_bar=False)
            rates[side].append(len(part) / (time.perf_counter() - started))
        lowest = min(lowest, lowest_cosine(vectors["bothways"], vectors["sentence_transformers"]))
    return compare(rates, lowest, texts=len(chunks), version=version)


def compare(rates: dict[str, list[float]], lowest: float, *, texts: int, version: str) -> Benchmark:
    """Make the table: medians of the parts' rates, their ratio, and the lowest cosine between the sides' vectors."""
    ours, theirs = median(rates["bothways"]), median(rates["sentence_transformers"])
    ratio = Target(name="encoding: texts/s, ratio to sentence-transformers", value=ours / theirs, at_least=RATIO)
    cosine = Target(name="encoding: lowest cosine between the sides", value=lowest, at_least=COSINE)
    rows = (
        Row(name="texts/s, median of the parts", bothways=ours, other=theirs, ratio=ratio.value, target=ratio),
        Row(name="  slowest part", bothways=min(rates["bothways"]), other=min(rates["sentence_transformers"])),
        Row(name="  fastest part", bothways=max(rates["bothways"]), other=max(rates["sentence_transformers"])),
        Row(name="lowest cosine", bothways=lowest, target=cosine),
    )
    facts = {"texts": texts, "parts": len(rates["bothways"]), "sentence_transformers": version}
    about = ABOUT.format(parts=PARTS)
    return Benchmark(
        name="encoding", about=about, rows=rows, facts=facts, raw=dict(rates), other="sentence-transformers"
    )


def lowest_cosine(ours: Any, theirs: Any) -> float:  # noqa: ANN401 – arrays of either side
    """Return the lowest cosine between vectors of the same texts, shapes (texts, d)."""
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float(((a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))).min())


def _sentence_transformers(chosen: Settings) -> tuple[Any, str]:
    try:
        import sentence_transformers
    except ImportError as error:
        raise MissingExtraError('This benchmark needs: pip install "bothways[torch]".') from error
    folder = resolve_model(chosen.embedding_model, cache_dir=chosen.cache_dir, weights="torch")
    ensure_torch_weights(folder)
    return sentence_transformers.SentenceTransformer(str(folder), device="cpu"), sentence_transformers.__version__


def _ignore(_: object) -> None:
    """Leave out what cannot be read: both sides get the same texts."""


if __name__ == "__main__":
    parser = options("models.encoding", __doc__)
    parser.add_argument("--limit", type=int, default=None, help="texts to encode [all]")
    parser.add_argument("--repeat", type=int, default=1, help="times that each part is encoded [1]")
    sys.exit(run_alone(run, parser))
