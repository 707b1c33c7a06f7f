"""Files a second read in this process and in one of its own: `python -m benchmarks.indexing.reading`.

The sample files of all formats and the handbook, copied into many folders. Both ways give the same documents, in
alternating order; a round without the libraries' imports goes before.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.shared.corpus import ROOT
from bothways.core.datatypes import Chunk, Failure
from bothways.indexer.chunk import chunk
from bothways.indexer.read import read
from bothways.indexer.read.child.frames import Cut
from bothways.indexer.read.child.read import ReadOptions, chunks_in_child

MAX_FILE_MB = 50.0
MAX_CHARS = 300


def main() -> None:
    """Read the copies both ways and print the medians and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.indexing.reading", description=__doc__)
    parser.add_argument("--copies", type=int, default=40, help="folders with all sample files in each [40]")
    parser.add_argument("--repeat", type=int, default=5, help="rounds [5]")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = copies(Path(folder), wanted.copies)
        ways: tuple[Callable[[Path], Iterable[Chunk]], ...] = (_here, _apart)
        spent: dict[str, list[Spent]] = {way.__name__: [] for way in ways}
        for number in range(wanted.repeat + 1):
            for way in ways if number % 2 else reversed(ways):
                round_of_it = _measured(way, Path(folder))
                if number:
                    spent[way.__name__].append(round_of_it)
    (chunks,) = {one.chunks for rounds in spent.values() for one in rounds}
    print(f"{files} files, {chunks} chunks, medians of {wanted.repeat}")
    for name, rounds in spent.items():
        seconds, own, child = (statistics.median(column) for column in zip(*(one[1:] for one in rounds), strict=True))
        print(f"{name}: {files / seconds:,.0f} files/s; CPU here {own:.2f} s, of the one that reads {child:.2f} s")


class Spent(NamedTuple):
    """What one round gave and took, in seconds."""

    chunks: int
    seconds: float
    own_cpu: float
    child_cpu: float


def _measured(way: Callable[[Path], Iterable[Chunk]], folder: Path) -> Spent:
    started, own, child = time.perf_counter(), time.process_time(), _child_cpu()
    chunks = sum(1 for _ in way(folder))
    return Spent(chunks, time.perf_counter() - started, time.process_time() - own, _child_cpu() - child)


def _child_cpu() -> float:
    """Return the seconds that the processes of this one have worked, those that have ended included."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    alive = [process.cpu_times() for process in psutil.Process().children()]
    return ended.ru_utime + ended.ru_stime + sum(times.user + times.system for times in alive)


def copies(folder: Path, count: int) -> int:
    """Copy the samples into `count` folders and return the number of files."""
    for number in range(count):
        for name in ("handbook", "formats"):
            shutil.copytree(ROOT / "samples" / name / "docs", folder / f"{number:04}" / name)
    return sum(1 for path in folder.rglob("*") if path.is_file())


def _here(folder: Path) -> Iterable[Chunk]:
    return chunk(read(folder, max_file_mb=MAX_FILE_MB, on_failure=_fail), "sentence", max_chars=MAX_CHARS)


def _apart(folder: Path) -> Iterable[Chunk]:
    return chunks_in_child(folder, ReadOptions(max_file_mb=MAX_FILE_MB, on_failure=_fail), Cut("sentence", MAX_CHARS))


def _fail(failure: Failure) -> None:
    raise SystemExit(f"{failure.item}: {failure.reason}")


if __name__ == "__main__":
    main()
