"""Milliseconds a search: `hybrid` over HTTP beside Haystack's hybrid pipeline, and what we add to the bare parts."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

import httpx

from benchmarks.measure import peak_rss_mb, percentile
from benchmarks.plan import Plan
from benchmarks.report import Benchmark, Row, Target, row_of
from benchmarks.sides import BenchmarkError, run_bothways, run_haystack, serve_side, stop

OVERHEAD_MS = 8.0
"""At most so much may HTTP and our Python add, at the median, to the encoder and `_msearch` on their own."""

READY_S = 180.0
TOP_K = 5

ABOUT = """\
- Both: one question after another against what the indexing benchmark left in the node; the first pass is not counted.
- Bothways: POST /api/v1/search, strategy hybrid, to `bothways serve` in its own process: three legs (BM25 on two
  fields, chunk vectors, question vectors) of {leg_k} hits in one _msearch, RRF, each chunk once. Timed by the client.
- Haystack: ElasticsearchBM25Retriever + SentenceTransformersTextEmbedder → ElasticsearchEmbeddingRetriever, {leg_k}
  hits each → DocumentJoiner(reciprocal_rank_fusion), called in its own process without HTTP. Chunks and questions are
  siblings, so a chunk may come more than once.
- Added by HTTP + our Python: the HTTP client's time less the encoder alone and the official client's `_msearch` alone
  (same query, same bodies, right after it, in the client's process). Below it the same by the server's own
  `timings_ms` (less encode and retrieve, which hold some of our Python: jieba, bodies, hits). Both have to be met."""


def run_searching(plan: Plan, say: Callable[[str], None]) -> Benchmark:
    """Search on both sides, `plan.repeat` times in alternating order."""
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    peaks = {"bothways": 0.0, "haystack": 0.0}

    def bothways() -> None:
        say("searching: Bothways …")
        rows, peak = _search_over_http(plan)
        ours.extend(rows)
        peaks["bothways"] = max(peaks["bothways"], peak)

    def haystack() -> None:
        say("searching: Haystack …")
        job = {
            **plan.haystack_job(),
            "queries": plan.queries,
            "query_prompt": plan.query_prompt,
            "leg_k": plan.settings.leg_k,
            "top_k": TOP_K,
            "passes": plan.passes,
        }
        result = run_haystack("search", job, plan.settings)
        theirs.extend(result["rows"])
        peaks["haystack"] = max(peaks["haystack"], float(result["peak_rss_mb"]))

    for number in range(plan.repeat):
        for side in (bothways, haystack) if number % 2 == 0 else (haystack, bothways):
            side()
    return compare(ours, theirs, peaks, leg_k=plan.settings.leg_k)


def compare(
    ours: Sequence[Mapping[str, float]],
    theirs: Sequence[Mapping[str, float]],
    peaks: Mapping[str, float],
    *,
    leg_k: int,
) -> Benchmark:
    """Put the timings of single searches into one table."""
    http, pipeline = [row["http"] for row in ours], [row["pipeline"] for row in theirs]
    added = [added_ms(row) for row in ours]
    told = [added_by_server(row) for row in ours]
    target = Target("searching: HTTP + our Python, p50 ms", percentile(added, 50), at_most=OVERHEAD_MS)
    by_server = Target("searching: the same by timings_ms, p50 ms", percentile(told, 50), at_most=OVERHEAD_MS)
    rows = [row_of(f"p{p}, ms", percentile(http, p), percentile(pipeline, p)) for p in (50, 95)]
    rows.append(row_of("peak RSS, MB (our server, their process)", peaks["bothways"], peaks["haystack"]))
    parts = {
        "  encoder alone, p50": "encoder_alone",
        "  _msearch alone, p50": "msearch_alone",
        "  _msearch, by the node's own clock (took), p50": "took",
    }
    rows += [Row(label, percentile([row[key] for row in ours], 50)) for label, key in parts.items()]
    rows.append(Row("  added by HTTP + our Python, p50", target.value, target=target))
    rows.append(Row("  added by HTTP + our Python, p95", percentile(added, 95)))
    rows.append(Row("  the same by timings_ms, p50", by_server.value, target=by_server))
    rows.append(Row("  the same by timings_ms, p95", percentile(told, 95)))
    facts = {"searches": len(ours)}
    return Benchmark(
        "searching", ABOUT.format(leg_k=leg_k), tuple(rows), facts, {"bothways": list(ours), "haystack": list(theirs)}
    )


def added_ms(row: Mapping[str, float]) -> float:
    """Give what one search took beyond the encoder alone and `_msearch` alone."""
    return row["http"] - row["encoder_alone"] - row["msearch_alone"]


def added_by_server(row: Mapping[str, float]) -> float:
    """Give what one search took beyond what the server itself counts as encoding and retrieving."""
    return row["http"] - row["server_encode"] - row["server_retrieve"]


def _search_over_http(plan: Plan) -> tuple[list[dict[str, float]], float]:
    port = _free_port()
    process = serve_side(port)
    try:
        _wait_until_ready(process, port)
        job = {"port": port, "collection": plan.collection, "queries": plan.queries, "passes": plan.passes}
        rows: list[dict[str, float]] = run_bothways("search", job)["rows"]
        return rows, peak_rss_mb(process.pid)
    finally:
        stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the server has its models and reaches Elasticsearch."""
    told = "no answer"
    give_up = time.monotonic() + READY_S
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise BenchmarkError(f"`bothways serve` ended with exit code {process.returncode}.")
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=READY_S)
            if answer.status_code == httpx.codes.OK:
                return
            told = answer.text
        except httpx.TransportError as error:
            told = str(error)
        time.sleep(0.2)
    raise BenchmarkError(f"`bothways serve` was not ready after {READY_S:.0f} s: {told}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
