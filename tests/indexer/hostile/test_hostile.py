"""Every hostile file is read or refused by name, within bounds of time and memory; good files beside it are read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bothways.core.datatypes import Failure
from bothways.indexer.read import read
from tests.indexer.hostile.corpus import CORPUS

_SMALL = 5_000

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Read a file in a fork: what came of it, with the CPU seconds and the megabytes that it took more than none."""
    command = [sys.executable, "-m", "tests.indexer.hostile.child"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:

        def one(path: str = "", *, expected: str = "", seconds: float = 10) -> dict[str, Any]:
            assert child.stdin is not None
            assert child.stdout is not None
            job = {"path": path, "expected": expected, "seconds": int(seconds) + 5}
            child.stdin.write(json.dumps(job) + "\n")
            child.stdin.flush()
            return dict(json.loads(child.stdout.readline()))

        idle = one()["megabytes"]

        def above(*args: Any, **options: Any) -> dict[str, Any]:
            answer = one(*args, **options)
            return {**answer, "megabytes": answer["megabytes"] - idle}

        yield above


@pytest.mark.parametrize("name", CORPUS)
def test_a_hostile_file_is_read_or_named_within_its_bounds(name: str, tmp_path: Path, ask: Ask) -> None:
    hostile = CORPUS[name]
    (tmp_path / name).write_bytes(hostile.make())
    answer = ask(str(tmp_path / name), expected=hostile.reads, seconds=hostile.seconds)
    assert "raised" not in answer, answer
    assert answer["seconds"] <= hostile.seconds
    assert answer["megabytes"] <= hostile.megabytes
    assert answer["found"] or not hostile.reads, answer
    if hostile.failure:
        assert any(re.search(hostile.failure, reason) for reason in answer["failures"]), answer
    else:
        assert not answer["failures"]
    assert answer["documents"] or answer["failures"] or answer["skipped"]
    assert any(re.search(hostile.skipped, reason) for reason in answer["skipped"]) or not hostile.skipped, answer


def test_good_files_are_read_beside_all_small_hostile_ones(tmp_path: Path) -> None:
    for name, hostile in CORPUS.items():
        data = hostile.make()
        if len(data) < _SMALL:
            (tmp_path / f"m_{name}").write_bytes(data)
    good = {"a.txt": "First.", "n.md": "# One\n\nSecond.", "z.html": "<p>Third.</p>"}
    for name, text in good.items():
        (tmp_path / name).write_text(text)
    failures: list[Failure] = []
    skipped: list[str] = []
    documents = read(
        tmp_path, max_file_mb=200, on_failure=failures.append, on_skip=lambda source, _: skipped.append(source)
    )
    sources = {document.source for document in documents}
    assert sources >= set(good)
    named = sources | {failure.item for failure in failures} | set(skipped)
    assert named == {path.name for path in tmp_path.iterdir()}
