"""Documents a second with vectors ready: `bothways.indexer.bulk` beside plain `helpers.bulk` of JSON float lists.

`python -m benchmarks.indexing.bulk`. The sides take turns, each time in a new process and a new index.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from benchmarks.shared.alone import options, run_alone, say
from benchmarks.shared.corpus import find_corpus
from benchmarks.shared.made_up import embedded, real_chunks
from benchmarks.shared.measure import percentile
from benchmarks.shared.report import Benchmark, Row, Target, row_of
from benchmarks.sides.run import run_program
from bothways.core.analysis import load_segmenter
from bothways.core.settings import Settings
from bothways.models.embed.encoder import load_encoder

RATIO = 3.0
SAMPLE = 256
"""Texts that are really encoded; the vectors of all are made up out of theirs."""

ABOUT = """\
- Both: the same chunks with the same words, questions and vectors (made up out of real ones) into a new index of the
  same mapping, from the first request until everything is searchable. Reading, words and encoding: done before.
- Bothways: `bothways.indexer.bulk` as a build uses it: packed vectors, requests of 128 chunks, three at once, JSON by
  orjson, refreshes off until the end, vectors as yet without graphs. Making the actions and packing is within the time.
- Plain: `elasticsearch.helpers.bulk(client, actions)`, vectors as lists of floats, its defaults (500 a request, one at
  a time), the index's defaults (a refresh a second), one refresh at the end. Its actions are made before the clock
  starts; only the run that its memory is taken from makes them as they are sent, as ours are.
- Merged: with the time that it then takes to make one segment with one graph of it, as our builds do (plain does not by
  itself: it is left with a graph a segment).
- The ratio is that of the medians of the runs; the sides take turns."""


def run(wanted: argparse.Namespace, chosen: Settings, _: Elasticsearch) -> Benchmark:
    """Send the same chunks on both sides, `wanted.repeat` times in alternating order."""
    runs: dict[str, list[dict[str, Any]]] = {"bothways": [], "plain": []}
    with tempfile.TemporaryDirectory(prefix="bothways-bench-") as folder:
        chunks = Path(folder) / "chunks.pickle"
        say("bulk: preparing chunks, words and vectors …")
        facts = prepare(chunks, wanted.docs, chosen)
        for number in range(wanted.repeat):
            for side in sorted(runs, reverse=bool(number % 2)):
                say(f"bulk: {side}, run {number + 1} of {wanted.repeat} …")
                runs[side].append(run_program("benchmarks.sides.bulk", side, {"chunks": str(chunks), "ready": True}))
        lazily = run_program("benchmarks.sides.bulk", "plain", {"chunks": str(chunks), "ready": False})
    return compare(runs["bothways"], runs["plain"], plain_rss_mb=lazily["peak_rss_mb"], facts=facts)


def prepare(path: Path, docs: int, chosen: Settings) -> dict[str, Any]:
    """Write `docs` chunks with vectors, and the words of all their texts, for both sides."""
    chance = np.random.default_rng(1)
    real = real_chunks(find_corpus(), chosen)
    copies = (
        replace(each, chunk=replace(each.chunk, chunk_id=f"{each.chunk.chunk_id}-{number}"))
        for number, each in enumerate(cycle(real))
    )
    wanted = list(islice(copies, docs))
    vectors = load_encoder(chosen).encode_documents([each.chunk.indexed_text for each in real[:SAMPLE]])
    segmenter = load_segmenter(chosen)
    texts = chain.from_iterable((each.chunk.indexed_text, *each.questions) for each in real)
    words = {text: segmenter.segment(text) for text in texts}
    path.write_bytes(pickle.dumps((embedded(wanted, vectors, chance), words)))
    return {"chunks": docs, "vectors": sum(1 + len(each.questions) for each in wanted)}


def _beside(name: str, ours: float, plain: float) -> Row:
    return Row(name=name, bothways=ours, other=plain)


def compare(
    ours: Sequence[Mapping[str, Any]],
    plain: Sequence[Mapping[str, Any]],
    *,
    plain_rss_mb: float,
    facts: Mapping[str, Any],
) -> Benchmark:
    """Make the table of both sides' runs."""
    rates = [median(each["docs"] / each["seconds"] for each in runs) for runs in (ours, plain)]
    target = Target(name="bulk: docs/s, ratio to helpers.bulk", value=rates[0] / rates[1], at_least=RATIO)
    requests = [[ms for each in runs for ms in each["requests_ms"]] for runs in (ours, plain)]

    def of_requests(percent: float) -> tuple[float, float]:
        return percentile(requests[0], percent), percentile(requests[1], percent)

    merged = [
        median(each["docs"] / (each["seconds"] + each["merge_seconds"]) for each in runs) for runs in (ours, plain)
    ]
    rows = (
        Row(name="docs/s, median of the runs", bothways=rates[0], other=rates[1], ratio=target.value, target=target),
        _beside("  slowest run", *(min(each["docs"] / each["seconds"] for each in runs) for runs in (ours, plain))),
        _beside("  fastest run", *(max(each["docs"] / each["seconds"] for each in runs) for runs in (ours, plain))),
        Row(name="docs/s until merged, median", bothways=merged[0], other=merged[1], ratio=merged[0] / merged[1]),
        _beside("a request, p50 ms", *of_requests(50)),
        _beside("a request, p95 ms", *of_requests(95)),
        row_of("peak RSS, MB (made lazily)", max(each["peak_rss_mb"] for each in ours), plain_rss_mb),
    )
    raw = {"bothways": list(ours), "plain": list(plain)}
    return Benchmark(
        name="bulk", about=ABOUT, rows=rows, facts={**facts, "runs": len(ours)}, raw=raw, other="helpers.bulk"
    )


if __name__ == "__main__":
    parser = options("indexing.bulk", __doc__)
    parser.add_argument("--docs", type=int, default=2000, help="chunks to send, each with its questions [2000]")
    parser.add_argument("--repeat", type=int, default=5, help="runs a side, in alternating order [5]")
    sys.exit(run_alone(run, parser))
