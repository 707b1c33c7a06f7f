"""`python -m benchmarks`: runs the benchmarks, prints one table of targets, and fails on a target missed.

Parts: indexing, search, serve, footprint, startup, encoding, bulk; `--only search,serve` runs some of them.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from elasticsearch import Elasticsearch

from benchmarks.indexing import bulk
from benchmarks.indexing.indexing import remove_indices, run_indexing
from benchmarks.models import encoding
from benchmarks.search.footprint import run_footprint
from benchmarks.search.searching import run_searching
from benchmarks.search.serving import run_serving
from benchmarks.search.setting import plan_search, remove, set_up
from benchmarks.search.startup import run_startup
from benchmarks.shared.alone import say, verdict
from benchmarks.shared.corpus import ROOT, copy_limited, find_corpus
from benchmarks.shared.machine import machine_facts, one_line
from benchmarks.shared.plan import Plan
from benchmarks.shared.report import Benchmark, show, write_json, write_report
from benchmarks.sides.run import BenchmarkError, run_bothways
from bothways.core.errors import BothwaysError
from bothways.core.settings import Settings, settings
from bothways.node.connect import connect

PARTS = ("indexing", "search", "serve", "footprint", "startup", "encoding", "bulk")
SAMPLE = 8
"""Texts whose vectors are compared between the sides."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=parts, default=PARTS, help=f"some of {','.join(PARTS)}, by commas [all]")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--limit", type=at_least_one, default=600, help="indexing: articles (or files) [600]")
    size.add_argument("--full", action="store_true", help="indexing: the whole corpus")
    parser.add_argument("--repeat", type=at_least_one, default=1, help="indexing: runs a side, by turns [1]")
    parser.add_argument("--articles", type=at_least_one, default=None, help="search: articles to search in [all]")
    parser.add_argument("--questions", type=at_least_one, default=None, help="search: judged questions [all of dev]")
    parser.add_argument("--timed", type=at_least_one, default=30, help="search: of them timed [30]")
    parser.add_argument("--passes", type=at_least_one, default=3, help="search: times that each of those is asked [3]")
    parser.add_argument("--requests", type=at_least_one, default=480, help="serve: searches that are sent [480]")
    parser.add_argument("--texts", type=at_least_one, default=None, help="encoding: texts [all]")
    parser.add_argument("--docs", type=at_least_one, default=2000, help="bulk: chunks, each with its questions [2000]")
    parser.add_argument("--out", type=Path, default=ROOT / "bench-results", help="folder for the JSON [bench-results]")
    parser.add_argument("--no-assert", action="store_true", help="exit code 0 even where a target is missed")
    return parser.parse_args()


def main() -> int:
    """Run; gives the exit code."""
    wanted = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was made is removed then, too
    benchmarks: list[Benchmark] = []
    try:
        with tempfile.TemporaryDirectory(prefix="bothways-bench-") as folder:
            _run(wanted, Path(folder), benchmarks)
    except (BenchmarkError, BothwaysError) as error:
        print(error, file=sys.stderr)
        return 1
    all_met = verdict([target for benchmark in benchmarks for target in benchmark.targets])
    return 0 if wanted.no_assert or all_met else 1


def _run(wanted: argparse.Namespace, folder: Path, benchmarks: list[Benchmark]) -> None:
    chosen = settings()
    client, server = connect(chosen)
    machine = machine_facts(server, chosen)
    print(f"Machine: {one_line(machine)}.", flush=True)
    try:
        for benchmark in _benchmarks(wanted, folder, chosen, client, server.url):
            path = write_json(benchmark, machine, wanted.out)
            print(show(benchmark, path), flush=True)
            benchmarks.append(benchmark)
    finally:
        client.close()
    write_report(benchmarks, machine, wanted.out)


def _benchmarks(
    wanted: argparse.Namespace, folder: Path, chosen: Settings, client: Elasticsearch, es_url: str
) -> Iterator[Benchmark]:
    if "indexing" in wanted.only:
        plan = _plan_indexing(wanted, folder, chosen, es_url)
        try:
            yield run_indexing(plan, client, say)
        finally:
            remove_indices(plan, client)
    if {"search", "serve", "footprint", "startup"}.intersection(wanted.only):
        yield from _on_one_collection(wanted, folder, chosen, client, es_url)
    if "encoding" in wanted.only:
        yield encoding.run(argparse.Namespace(limit=wanted.texts, repeat=1), chosen, client)
    if "bulk" in wanted.only:
        yield bulk.run(argparse.Namespace(docs=wanted.docs, repeat=3), chosen, client)


def _on_one_collection(
    wanted: argparse.Namespace, folder: Path, chosen: Settings, client: Elasticsearch, es_url: str
) -> Iterator[Benchmark]:
    plan = plan_search(
        chosen,
        es_url,
        folder,
        articles=wanted.articles,
        questions=wanted.questions,
        timed=wanted.timed,
        passes=wanted.passes,
        requests=wanted.requests,
    )
    try:
        counts = set_up(plan, client, say, others=bool({"search", "serve"}.intersection(wanted.only)))
        steps: dict[str, Callable[[], Benchmark]] = {
            "search": lambda: run_searching(plan, client, counts, say),
            "serve": lambda: run_serving(plan, say),
            "footprint": lambda: run_footprint(plan, say),
            "startup": lambda: run_startup(plan, say),
        }
        for name, step in steps.items():
            if name in wanted.only:
                yield step()
    finally:
        remove(plan, client)


def _plan_indexing(wanted: argparse.Namespace, folder: Path, chosen: Settings, es_url: str) -> Plan:
    corpus = find_corpus()
    say(f"indexing: preparing the texts of {corpus.documents} …")
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
        sample=sample,
        model_folder=made["model_folder"],
        name=uuid.uuid4().hex[:12],
        repeat=wanted.repeat,
    )


def parts(text: str) -> tuple[str, ...]:
    """Read names of parts, by commas."""
    named = tuple(name.strip() for name in text.split(","))
    if unknown := [name for name in named if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"there is no part {unknown[0]!r}; there are: {', '.join(PARTS)}")
    return named


def at_least_one(text: str) -> int:
    """Read a number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
