"""Peak memory of an indexing job as the corpus grows: `python -m benchmarks.indexing.memory`.

The first lines of a corpus are indexed into a new collection by `index_path`, each number of lines in a new process.
Vectors are noise, so that it is quick: the model's own memory, which does not depend on the corpus, comes on top.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from benchmarks.shared.alone import options, run_alone, say
from benchmarks.shared.corpus import ROOT
from benchmarks.shared.report import Benchmark, Row, Target
from benchmarks.sides.run import BenchmarkError, run_program
from bothways.core.collections.collection import delete_collection
from bothways.core.errors import CollectionNotFoundError
from bothways.core.settings import Settings

STARD = ROOT.parent / "shared" / "data" / "stard" / "corpus.jsonl"
LINES = (5_000, 20_000)
MOST_MB = 2_000.0
GROWTH = 1.1
"""The most that four times the documents may bring: what is kept of each document is on disk."""

ABOUT = """\
- `index_path` over the first lines of a JSON-lines corpus into a new collection, without questions, in a process of its
  own; 512 numbers of noise a vector instead of a model. Peak RSS is what the kernel says (VmHWM)."""


def run(wanted: argparse.Namespace, _: Settings, client: Elasticsearch) -> Benchmark:
    """Index each number of lines, and remove the collections."""
    if not wanted.corpus.is_file():
        raise BenchmarkError(f"There is no corpus {wanted.corpus}: name one with --corpus (JSON lines with `text`).")
    done = []
    with tempfile.TemporaryDirectory(prefix="bothways-bench-") as folder:
        for lines in wanted.lines:
            say(f"memory: {lines:,} lines …")
            path = Path(folder) / f"{lines}" / "corpus.jsonl"
            path.parent.mkdir()
            with wanted.corpus.open("rb") as source, path.open("wb") as target:
                target.writelines(islice(source, lines))
            name = f"bench-{uuid.uuid4().hex[:12]}"
            try:
                done.append(run_program("benchmarks.sides.memory", "index", {"path": str(path), "collection": name}))
            finally:
                _remove(client, name)
    return compare(done)


def compare(runs: Sequence[Mapping[str, Any]]) -> Benchmark:
    """Make the table; `runs` from the fewest documents to the most."""
    peaks = [run["peak_rss_mb"] for run in runs]
    most = Target(name="memory: peak RSS, MB", value=max(peaks), at_most=MOST_MB)
    growth = Target(
        name="memory: growth from the fewest documents to the most", value=peaks[-1] / peaks[0], at_most=GROWTH
    )
    rows = [Row(name=f"{run['documents']:,} documents, peak RSS, MB", bothways=run["peak_rss_mb"]) for run in runs]
    rows[-1] = Row(name=rows[-1].name, bothways=rows[-1].bothways, target=most)
    rows += [Row(name=f"{run['documents']:,} documents, seconds", bothways=run["seconds"]) for run in runs]
    rows.append(Row(name="growth of the peak, times", bothways=growth.value, target=growth))
    return Benchmark(name="memory", about=ABOUT, rows=tuple(rows), facts={}, raw={"runs": list(runs)}, other="")


def _remove(client: Elasticsearch, name: str) -> None:
    try:
        delete_collection(client, name)
    except CollectionNotFoundError:
        pass


def _counts(text: str) -> list[int]:
    return sorted(int(count) for count in text.replace("_", "").split(","))


if __name__ == "__main__":
    parser = options("indexing.memory", __doc__)
    parser.add_argument("--corpus", type=Path, default=STARD, help="JSON lines [STARD]")
    parser.add_argument("--lines", type=_counts, default=list(LINES), help="how many of them, by commas [5000,20000]")
    sys.exit(run_alone(run, parser))
