"""Milliseconds to rerank 30 candidates, and how far the backends agree: torch, ONNX fp32 and int8, and from memory.

`python -m benchmarks.models.reranking QUERIES --collection NAME`. The candidates are those of `hybrid` in that
collection; the sides take turns on the same pairs, query by query. Without `--model` a cross-encoder of the default
encoder's shape is made (4 layers of 512; its head is random, so only its speed means something).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from benchmarks.shared.machine import cores
from benchmarks.shared.measure import percentile
from bothways.core.results import Hit
from bothways.core.settings import Settings, settings
from bothways.core.text.markdown import markdown_table
from bothways.evaluation.judged.queries import load_texts
from bothways.models.files.resolve import resolve_model
from bothways.models.onnx.weights import ensure_torch_weights
from bothways.models.rerank.cross_encoder import load_cross_encoder
from bothways.search.build import build_searcher
from bothways.search.rank.rerank import Reranker, sigmoid

SIDES = {"torch": ("torch", "fp32"), "onnx fp32": ("onnx", "fp32"), "onnx int8": ("onnx", "int8")}
MEMORY = "onnx fp32, from memory"
TOP = 10


@dataclass(frozen=True, slots=True)
class Candidates:
    """A query with what the first stage found."""

    query: str
    hits: Sequence[Hit]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models.reranking", description=__doc__)
    parser.add_argument("queries", type=Path, help="queries as JSON lines")
    parser.add_argument("--collection", required=True)
    parser.add_argument("--model", help="cross-encoder: name or folder")
    parser.add_argument("--at-most", type=int, default=40, help="queries, the first ones [40]")
    parser.add_argument("--sides", default=",".join(SIDES), help="which, by commas")
    parser.add_argument("--out", type=Path, help="file for the measurements, as JSON")
    wanted = parser.parse_args(arguments)
    asked = _candidates(wanted.queries, wanted.collection, wanted.at_most)
    with tempfile.TemporaryDirectory() as scratch:
        chosen = settings() if wanted.model else settings().model_copy(update={"cache_dir": Path(scratch)})
        model = wanted.model or str(make_model(settings(), Path(scratch) / "cross-encoder"))
        measured = measure(asked, chosen, model, wanted.sides.split(","))
    _print(asked, *measured)
    if wanted.out:
        wanted.out.write_text(json.dumps({"ms": measured[0], "logits": measured[1]}), encoding="utf-8")
    return 0


def make_model(chosen: Settings, folder: Path) -> Path:
    """Save the default encoder's weights with one score on top, which is random."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from bothways.models.onnx.export import quiet

    encoder = resolve_model(chosen.embedding_model, cache_dir=chosen.cache_dir, weights="torch")
    ensure_torch_weights(encoder)
    torch.manual_seed(7)
    with quiet():
        AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=1).save_pretrained(folder)
        AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    return folder


def measure(
    asked: Sequence[Candidates], chosen: Settings, model: str, sides: Sequence[str]
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, list[list[float]]]]:
    """Return milliseconds (clock, processor) by side and query, and logits by side, query and candidate."""
    rerankers: dict[str, Reranker] = {}
    for side in sides:
        backend, precision = SIDES[side]
        wanted = {"reranker_model": model, "model_backend": backend, "reranker_precision": precision}
        loaded = load_cross_encoder(chosen.model_copy(update=wanted))
        if loaded is None:
            raise RuntimeError("no reranker")
        rerankers[side] = Reranker(loaded, cache_size=0 if side != "onnx fp32" else 100_000)
        rerankers[side].score("预热", asked[0].hits)
    ms: dict[str, list[tuple[float, float]]] = {
        side: [] for side in [*sides, *([MEMORY] if "onnx fp32" in sides else [])]
    }
    logits: dict[str, list[list[float]]] = {side: [] for side in sides}
    for number, one in enumerate(asked):
        for side in sides if number % 2 else list(reversed(sides)):
            logits[side].append(_timed(rerankers[side], one, ms[side]))
        if "onnx fp32" in sides:
            _timed(rerankers["onnx fp32"], one, ms[MEMORY])
        print(f"query {number + 1} of {len(asked)}", file=sys.stderr, flush=True)
    return ms, logits


def _timed(reranker: Reranker, one: Candidates, ms: list[tuple[float, float]]) -> list[float]:
    started, used = time.perf_counter(), time.process_time()
    scores = reranker.score(one.query, one.hits)
    ms.append((1000 * (time.perf_counter() - started), 1000 * (time.process_time() - used)))
    return [scores.logits[hit.chunk_id] for hit in one.hits]


def _candidates(path: Path, collection: str, at_most: int) -> list[Candidates]:
    searcher, _ = build_searcher(settings())
    options = settings().search.replace(strategy="hybrid", top_k=settings().rerank_top_n)
    return [Candidates(text, searcher.search(text, collection, options).hits) for text in load_texts(path)[:at_most]]


def _print(
    asked: Sequence[Candidates], ms: dict[str, list[tuple[float, float]]], logits: dict[str, list[list[float]]]
) -> None:
    pairs = statistics.mean(len(one.hits) for one in asked)
    chars = statistics.mean(len(one.query) + len(hit.title) + len(hit.text) for one in asked for hit in one.hits)
    print(
        f"{len(asked)} queries, {pairs:.1f} candidates of {chars:.0f} characters with the question, {cores()} cores\n"
    )
    rows = [
        [
            side,
            f"{statistics.median(clock):.1f}",
            f"{percentile(clock, 95):.1f}",
            f"{min(clock):.1f}",
            f"{statistics.median(used):.1f}",
        ]
        for side, clock, used in ((side, *zip(*times, strict=True)) for side, times in ms.items())
    ]
    print(markdown_table(["", "p50 ms", "p95 ms", "fastest ms", "processor ms, p50"], rows) + "\n")
    first, *others = logits
    print(
        markdown_table(
            [f"against {first}", "Spearman, mean", f"the same {TOP} first", "same first", "mean, largest |Δ score|"],
            [[side, *agreement(logits[first], logits[side])] for side in others],
        )
    )


def agreement(expected: Sequence[Sequence[float]], got: Sequence[Sequence[float]]) -> list[str]:
    """Compare the orders and the scores (sigmoids) that two models give to the same candidates, query by query."""
    rho = [spearmanr(a, b).statistic for a, b in zip(expected, got, strict=True) if len(a) > 1]
    tops = [(_first(a, TOP), _first(b, TOP)) for a, b in zip(expected, got, strict=True)]
    shared = [len(set(a) & set(b)) / max(1, len(a)) for a, b in tops]
    same = [a[:1] == b[:1] for a, b in tops]
    gaps = [abs(sigmoid(x) - sigmoid(y)) for a, b in zip(expected, got, strict=True) for x, y in zip(a, b, strict=True)]
    return [
        f"{np.mean(rho):.4f}",
        f"{np.mean(shared):.3f}",
        f"{np.mean(same):.3f}",
        f"{np.mean(gaps):.4f}, {max(gaps):.4f}",
    ]


def _first(logits: Sequence[float], count: int) -> list[int]:
    return sorted(range(len(logits)), key=lambda at: -logits[at])[:count]


if __name__ == "__main__":
    sys.exit(main())
