"""How long a command takes to start, as a multiple of what Python itself takes (`python -c pass`)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from benchmarks.shared.plan import SearchPlan
from benchmarks.shared.report import Benchmark, Row, Target
from benchmarks.sides.run import BenchmarkError, served

RUNS = 15
HELP, SEARCH, CLIENT = 24.0, 20.0, 2.5
"""On a machine on which Python starts in 25 ms: help within 0.6 s, a search within 0.5 s."""

ABOUT = """\
- Each command is a process of its own; the commands take turns, {runs} times, and the medians are compared.
- `bothways search` asks a server of this machine for a question by BM25: the time of the search is in it.
- The client's import is compared with that of httpx, which it is made of."""


def run_startup(plan: SearchPlan, say: Callable[[str], None]) -> Benchmark:
    """Start each command some times, by turns."""
    search = ["search", plan.judged.texts[0], "--collection", plan.collection, "--strategy", "bm25", "--json"]
    commands = {
        "pass": [sys.executable, "-c", "pass"],
        "httpx": [sys.executable, "-c", "import httpx"],
        "client": [sys.executable, "-c", "import bothways; bothways.Client"],
        "help": [sys.executable, "-m", "bothways", "--help"],
        "search": [sys.executable, "-m", "bothways", *search],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    with served({}) as server:
        environment = {**os.environ, "BOTHWAYS_SERVER_URL": f"http://127.0.0.1:{server.port}"}
        for number in range(RUNS + 1):
            say(f"startup: turn {number} of {RUNS} …")
            for name, command in commands.items():
                took = _seconds(command, environment)
                if number:  # the first turn reads the files into memory
                    seconds[name].append(took)
    return compare(seconds)


def compare(seconds: Mapping[str, Sequence[float]]) -> Benchmark:
    """Make the table of what each command took."""
    middle = {name: median(runs) for name, runs in seconds.items()}
    bounds = (("help", "pass", HELP), ("search", "pass", SEARCH), ("client", "httpx", CLIENT))
    named = {
        "help": "`bothways --help`",
        "search": "`bothways search`, a server running",
        "client": "`import bothways`, its client",
        "pass": "`python -c pass`",
        "httpx": "`import httpx`",
    }
    rows = [
        Row(
            name=f"{named[name]}, s; other: {named[other]}",
            bothways=middle[name],
            other=middle[other],
            target=Target(name=f"{named[name]} ÷ {named[other]}", value=middle[name] / middle[other], at_most=bound),
        )
        for name, other, bound in bounds
    ]
    return Benchmark(
        name="startup",
        about=ABOUT.format(runs=RUNS),
        rows=tuple(rows),
        facts={"runs": len(seconds["pass"])},
        raw={"seconds": {name: list(runs) for name, runs in seconds.items()}},
        other="other",
    )


def _seconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.decode()[:500]}")
    return time.perf_counter() - started
