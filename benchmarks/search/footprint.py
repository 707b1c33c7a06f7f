"""What the server itself costs: seconds from its start until it is ready, and its memory after searches."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.shared.measure import peak_rss_mb
from benchmarks.shared.plan import TOP_K, SearchPlan
from benchmarks.shared.report import Benchmark, Row, Target
from benchmarks.sides.run import BenchmarkError, served

STARTS = 3
SEARCHES = 100
READY_S = 6.0
RESIDENT_MB = 900.0

ABOUT = """\
- Seconds: from the start of the process `bothways serve` until GET /health/ready is answered with 200, caches warm;
  the median of {starts} starts.
- Memory: the most that the process has held (VmHWM) once it has answered {searches} searches, one after another: of
  `hybrid` without a reranker, and of `hybrid_rerank` with the 4-layer cross-encoder. The latter has to
  keep the bound."""


def run_footprint(plan: SearchPlan, say: Callable[[str], None]) -> Benchmark:
    """Start the server some times, and search."""
    runs: list[dict[str, Any]] = []
    for number in range(STARTS):
        rerank = number == STARTS - 1
        say(f"footprint: start {number + 1} of {STARTS} …")
        with served(plan.server_environment() if rerank else {}) as server:
            ready_mb = peak_rss_mb(server.pid)
            if number >= STARTS - 2:
                _search(server.port, plan, "hybrid_rerank" if rerank else "hybrid")
            runs.append({"seconds": server.seconds, "ready_mb": ready_mb, "peak_mb": peak_rss_mb(server.pid)})
    return compare(runs)


def compare(runs: Sequence[Mapping[str, float]]) -> Benchmark:
    """Make the table; the last run is the one with the reranker, the one before it searched without."""
    seconds = Target(name="server: start to ready, s", value=median(run["seconds"] for run in runs), at_most=READY_S)
    memory = Target(name="server: peak RSS after searches, MB", value=runs[-1]["peak_mb"], at_most=RESIDENT_MB)
    rows = (
        Row(name="start to ready, s, median", bothways=seconds.value, target=seconds),
        Row(name="peak RSS when ready, MB", bothways=runs[-2]["ready_mb"]),
        Row(name=f"peak RSS after {SEARCHES} hybrid, MB", bothways=runs[-2]["peak_mb"]),
        Row(name=f"peak RSS after {SEARCHES} hybrid_rerank, MB", bothways=memory.value, target=memory),
    )
    about = ABOUT.format(starts=STARTS, searches=SEARCHES)
    return Benchmark(
        name="footprint", about=about, rows=rows, facts={"starts": len(runs)}, raw={"runs": list(runs)}, other=""
    )


def _search(port: int, plan: SearchPlan, strategy: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for number in range(SEARCHES):
        query = plan.judged.texts[number % len(plan.judged.texts)]
        body = {"query": query, "collection": plan.collection, "top_k": TOP_K, "strategy": strategy}
        connection.request("POST", "/api/v1/search", json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        read = answer.read()
        if answer.status != http.client.OK or json.loads(read)["degraded"]:
            raise BenchmarkError(f"The search for {query!r} gave {answer.status}: {read[:500]!r}")
    connection.close()
