"""A process that reads files each in a fork of its own, so that what one costs can be measured and bounded.

`python -m tests.indexer.hostile.child` takes a JSON line a file and answers with one: what was read, what was said, CPU
seconds and peak memory. The readers are imported once; a fork starts within milliseconds.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import warnings
from pathlib import Path
from typing import Any

from bothways.indexer.chunk import chunk
from bothways.indexer.read import read

_ADDRESS_SPACE = 8 << 30


def read_one(path: Path, expected: str) -> dict[str, Any]:
    """Read a file and cut it into chunks, as a job does; tell whether `expected` stands in what was read."""
    failures: list[str] = []
    skipped: list[str] = []
    found = False
    documents = read(
        path,
        max_file_mb=200,
        on_failure=lambda failure: failures.append(failure.reason),
        on_skip=lambda _, reason: skipped.append(reason),
    )
    count = 0
    for document in documents:
        count += 1
        found = found or any(expected in block for block in document.blocks)
        for _ in chunk([document]):
            pass
    said = {"failures": [*failures[:20], *failures[-1:]], "skipped": [*skipped[:20], *skipped[-1:]]}
    return {"documents": count, "found": found, "reasons": len(failures) + len(skipped), **said}


def _fork(job: dict[str, Any]) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _limited(job, writing)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    _, status, usage = os.wait4(child, 0)
    cost = {"seconds": usage.ru_utime + usage.ru_stime, "megabytes": usage.ru_maxrss / 1024}
    return {**(json.loads(text) if text else {"raised": f"ended with {os.waitstatus_to_exitcode(status)}"}), **cost}


def _limited(job: dict[str, Any], writing: int) -> None:
    """Read under limits of time and memory, answer, and end the fork."""
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CPU, (job["seconds"], job["seconds"] + 1))
    warnings.simplefilter("ignore")
    try:
        answer = read_one(Path(job["path"]), job["expected"]) if job["path"] else {}
    except BaseException as error:  # noqa: BLE001  whatever comes out of a reader is what the test is about
        answer = {"raised": repr(error)[:300]}
    with os.fdopen(writing, "w") as out:
        json.dump(answer, out)
        out.flush()
        os._exit(0)


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_fork(json.loads(line))) + "\n")
        sys.stdout.flush()
