"""`python -m benchmarks`: runs both benchmarks, prints the tables, writes the JSON, and fails on a target missed."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import uuid
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from benchmarks.alone import verdict
from benchmarks.corpus import ROOT, copy_limited, find_corpus, read_queries
from benchmarks.indexing import remove_indices, run_indexing
from benchmarks.machine import machine_facts, one_line
from benchmarks.plan import Plan
from benchmarks.report import Benchmark, show, write_json
from benchmarks.searching import run_searching
from benchmarks.sides import BenchmarkError, run_bothways
from core.elastic import connect
from core.errors import BothwaysError
from core.settings import Settings, settings

SAMPLE = 8
"""Texts whose vectors are compared between the sides."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--limit", type=_at_least_one, default=600, help="articles (or files) to index [600]")
    size.add_argument("--full", action="store_true", help="the whole corpus")
    parser.add_argument("--repeat", type=_at_least_one, default=1, help="runs a side, in alternating order [1]")
    parser.add_argument("--passes", type=_at_least_one, default=10, help="counted passes over the questions [10]")
    parser.add_argument("--out", type=Path, default=ROOT / "bench-results", help="folder for the JSON [bench-results]")
    parser.add_argument("--no-assert", action="store_true", help="exit code 0 even where a target is missed")
    return parser.parse_args()


def main() -> int:
    """Run; gives the exit code."""
    wanted = arguments()
    try:
        with tempfile.TemporaryDirectory(prefix="bothways-bench-") as folder:
            benchmarks = _run(wanted, Path(folder))
    except (BenchmarkError, BothwaysError) as error:
        print(error, file=sys.stderr)
        return 1
    all_met = verdict([target for benchmark in benchmarks for target in benchmark.targets])
    return 0 if wanted.no_assert or all_met else 1


def _run(wanted: argparse.Namespace, folder: Path) -> list[Benchmark]:
    chosen = settings()
    client, server = connect(chosen)
    machine = machine_facts(server, chosen)
    plan = _prepare(wanted, folder, chosen, server.url)
    print(f"\nBothways and Haystack side by side: the {plan.corpus.name} corpus, {plan.units:,} {plan.corpus.unit}.")
    print(f"Machine: {one_line(machine)}.", flush=True)
    benchmarks = []
    steps: list[Callable[[], Benchmark]] = [
        lambda: run_indexing(plan, client, _say),
        lambda: run_searching(plan, _say),
    ]
    try:
        for step in steps:
            benchmark = step()
            path = write_json(benchmark, machine, wanted.out)
            print(show(benchmark, path), flush=True)
            benchmarks.append(benchmark)
    finally:
        remove_indices(plan, client)
        client.close()
    return benchmarks


def _prepare(wanted: argparse.Namespace, folder: Path, chosen: Settings, es_url: str) -> Plan:
    corpus = find_corpus()
    _say(f"preparing the texts of {corpus.documents} …")
    documents, texts = folder / "documents", folder / "texts.jsonl"
    units = copy_limited(corpus, documents, limit=None if wanted.full else wanted.limit)
    made = run_bothways(
        "prepare", {"documents": str(documents), "questions": str(corpus.questions), "texts": str(texts)}
    )
    with texts.open(encoding="utf-8") as lines:
        sample = tuple(json.loads(line)["text"] for line in islice(lines, SAMPLE))
    return Plan(
        settings=chosen,
        es_url=es_url,
        corpus=corpus,
        units=units,
        documents=documents,
        texts=texts,
        queries=tuple(read_queries(corpus.queries)),
        sample=sample,
        model_folder=made["model_folder"],
        query_prompt=made["query_prompt"],
        name=uuid.uuid4().hex[:12],
        repeat=wanted.repeat,
        passes=wanted.passes,
    )


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
