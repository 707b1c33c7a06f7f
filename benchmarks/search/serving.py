"""Sixteen clients at once: searches a second, how long one waits, and whether all are answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.shared.measure import peak_rss_mb, percentile
from benchmarks.shared.plan import TOP_K, SearchPlan
from benchmarks.shared.report import Benchmark, Row, Target, row_of
from benchmarks.sides.run import run_program, served, served_by_them

CLIENTS = 16
THROUGHPUT = 3.0
"""At least so many times Haystack's searches a second."""
SPREAD = 4.0
"""p95 as a multiple of p50, at most."""
THEIR_SHARE = 4
"""Haystack gets so many times fewer requests, so that both rounds take about as long; rates are compared."""
STRATEGIES = ("hybrid", "hybrid_rerank")

ABOUT = """\
- {clients} clients of one process, each with a connection of its own, ask the next question once they have an answer;
  one round of one question a client comes first and is not counted. An error is an answer that is not a 200, or is
  empty; what left out a stage or cut it short (`degraded`) is counted by itself.
- Bothways: `bothways serve`, one process, as it comes.
- Haystack: FastAPI and uvicorn around the same pipelines over the chunks alone, models loaded once, sync endpoints in
  FastAPI's pool of threads; measured so, and with one search at a time (a lock), and the better rate of the two counts.
- hybrid's ratio is the target. hybrid_rerank is shown: on few cores it is the cross-encoder's arithmetic."""


def run_serving(plan: SearchPlan, say: Callable[[str], None]) -> Benchmark:
    """Load our server, then theirs in both ways."""
    bodies = [{"query": text, "collection": plan.collection, "top_k": TOP_K} for text in plan.judged.texts]
    ours: dict[str, Any] = {}
    with served(plan.server_environment()) as server:
        for strategy in STRATEGIES:
            say(f"serving: Bothways, {strategy} …")
            requests = plan.requests if strategy == "hybrid" else plan.requests // THEIR_SHARE
            job = {"port": server.port, "path": "/api/v1/search", "clients": CLIENTS, "requests": requests}
            job["bodies"] = [{**body, "strategy": strategy} for body in bodies]
            ours[strategy] = run_program("benchmarks.sides.load", "load", job)
        ours["peak_rss_mb"] = peak_rss_mb(server.pid)
    theirs = []
    for one_at_a_time in (False, True):
        job = {**plan.job("haystack", questions=False), "one_at_a_time": one_at_a_time}
        side: dict[str, Any] = {}
        with served_by_them("haystack_search", job, plan.settings) as server:
            for strategy in STRATEGIES:
                say(f"serving: Haystack, {strategy}{', one at a time' if one_at_a_time else ''} …")
                requests = max(CLIENTS, plan.requests // THEIR_SHARE // (1 if strategy == "hybrid" else THEIR_SHARE))
                asked = {"port": server.port, "path": f"/{strategy}", "clients": CLIENTS, "requests": requests}
                asked["bodies"] = [{"query": text} for text in plan.judged.texts]
                side[strategy] = run_program("benchmarks.sides.load", "load", asked)
            side["peak_rss_mb"] = peak_rss_mb(server.pid)
        theirs.append(side)
    return compare(ours, theirs)


def compare(ours: Mapping[str, Any], theirs: list[dict[str, Any]]) -> Benchmark:
    """Make the table; of theirs the way with the better rate counts, for each strategy."""
    rows: list[Row] = []
    for strategy in STRATEGIES:
        mine = ours[strategy]
        other = max((side[strategy] for side in theirs), key=rate)
        rates = rate(mine), rate(other)
        ratio = rates[0] / rates[1] if rates[1] else None
        measured = strategy == "hybrid"
        throughput = Target(
            name=f"{CLIENTS} clients: searches/s, ratio to Haystack", value=ratio or 0.0, at_least=THROUGHPUT
        )
        target = throughput if measured else None
        rows.append(Row(name=f"{strategy}, searches/s", bothways=rates[0], other=rates[1], ratio=ratio, target=target))
        p50, p95 = (percentile(mine["ms"], percent) for percent in (50, 95))
        their_p50, their_p95 = (percentile(other["ms"], percent) for percent in (50, 95))
        rows += [row_of(f"{strategy}, p50 ms", p50, their_p50), row_of(f"{strategy}, p95 ms", p95, their_p95)]
        spread = Target(name=f"{CLIENTS} clients, {strategy}: p95, multiple of p50", value=p95 / p50, at_most=SPREAD)
        rows.append(Row(name=f"{strategy}, p95 / p50", bothways=p95 / p50, other=their_p95 / their_p50, target=spread))
        errors = Target(name=f"{CLIENTS} clients, {strategy}: errors", value=len(mine["errors"]), at_most=0)
        rows.append(
            Row(name=f"{strategy}, errors", bothways=len(mine["errors"]), other=len(other["errors"]), target=errors)
        )
        rows.append(Row(name=f"{strategy}, with something in degraded", bothways=mine["degraded"]))
    rows.append(row_of("peak RSS, MB", ours["peak_rss_mb"], min(side["peak_rss_mb"] for side in theirs)))
    facts = {"clients": CLIENTS, "searches": sum(len(ours[strategy]["ms"]) for strategy in STRATEGIES)}
    return Benchmark(
        name="serving",
        about=ABOUT.format(clients=CLIENTS),
        rows=tuple(rows),
        facts=facts,
        raw={"bothways": ours, "haystack": theirs},
    )


def rate(load: Mapping[str, Any]) -> float:
    """Return the searches answered a second."""
    return float(len(load["ms"]) / load["seconds"])
