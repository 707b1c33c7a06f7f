"""One benchmark as a program of its own: its options, its table, its JSON, and an exit code that tells of targets."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from elasticsearch import Elasticsearch

from benchmarks.shared.corpus import ROOT
from benchmarks.shared.machine import cores, machine_facts, one_line
from benchmarks.shared.report import Benchmark, Target, show, table_of_targets, write_json
from benchmarks.sides.run import BenchmarkError
from bothways.core.errors import BothwaysError
from bothways.core.settings import Settings, settings
from bothways.node.connect import connect

Run = Callable[[argparse.Namespace, Settings, Elasticsearch], Benchmark]


def options(module: str, about: str | None) -> argparse.ArgumentParser:
    """Return the options that every benchmark has, to add its own to."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}", description=about)
    parser.add_argument("--out", type=Path, default=ROOT / "bench-results", help="folder for the JSON [bench-results]")
    parser.add_argument("--no-assert", action="store_true", help="exit code 0 even where a target is missed")
    return parser


def run_alone(run: Run, parser: argparse.ArgumentParser) -> int:
    """Run one benchmark, print and keep its results; gives the exit code."""
    wanted = parser.parse_args()
    chosen = settings()
    try:
        client, server = connect(chosen)
        machine = machine_facts(server, chosen)
        print(f"Machine: {one_line(machine)}.", flush=True)
        try:
            benchmark = run(wanted, chosen, client)
        finally:
            client.close()
    except (BenchmarkError, BothwaysError) as error:
        print(error, file=sys.stderr)
        return 1
    print(show(benchmark, write_json(benchmark, machine, wanted.out)), flush=True)
    return 0 if verdict(benchmark.targets) or wanted.no_assert else 1


def verdict(targets: Sequence[Target]) -> bool:
    """Print all targets as one table; gives whether they are met."""
    print(f"\n{table_of_targets(targets)}\n")
    all_met = all(target.met for target in targets)
    if not all_met and os.getloadavg()[0] > cores():
        print(f"The machine was busy: load {os.getloadavg()[0]:.1f} on {cores()} cores. Run it again when it is idle.")
    return all_met


def say(what: str) -> None:
    """Tell on stderr what is being done."""
    print(what, file=sys.stderr, flush=True)
