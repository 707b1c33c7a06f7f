"""What `benchmarks.chaos` does with hostile files: indexes them beside good ones, as a user's folder may hold both.

The files are the small ones of tests/indexer/hostile, which also has the bounds of each.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.chaos.aliases import Scene
from benchmarks.shared.corpus import ROOT
from tests.indexer.hostile.corpus import CORPUS

COLLECTION = "chaos-hostile"
SMALL = 5_000
"""Bytes. Larger ones bring many chunks, whose encoding is not what is tried here."""
GOOD = {
    "a-first.txt": "差旅费用凭发票报销。",
    "n-second.md": "# 年假\n\n年假为五天。",
    "z-third.html": "<p>周一全员到岗。</p>",
}


def hostile_files(scene: Scene) -> list[str]:
    """Index the folder; say which good file is not found, and which hostile one is neither read nor named."""
    folder = scene.folder / "hostile"
    folder.mkdir()
    made = {name: data for name, hostile in CORPUS.items() if len(data := hostile.make()) < SMALL}
    for name, data in made.items():
        (folder / f"m-{name}").write_bytes(data)
    for name, text in GOOD.items():
        (folder / name).write_text(text, encoding="utf-8")
    words = ["index", str(folder), "--collection", COLLECTION, "--no-questions", "--json"]
    command = [sys.executable, "-c", "from bothways.cli.main import main; main()", *words]
    done = subprocess.run(command, env=dict(scene.environment), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 1}:
        return [f"`index` ended with {done.returncode}: {done.stderr[-300:]}"]
    report = json.loads(done.stdout)
    named = {failure["item"].partition("#")[0] for failure in report["failures"]}
    named |= {item for item, _ in report["skipped"]}
    indexed = _sources(scene)
    print(f"{len(made)} hostile files: {len(indexed - set(GOOD))} indexed, {len(named)} named", end="; ")
    problems = [f"{name} is not indexed" for name in GOOD if name not in indexed]
    lost = {path.name for path in Path(folder).iterdir()} - indexed - named
    return problems + [f"{name} is neither indexed nor named" for name in sorted(lost)]


def _sources(scene: Scene) -> set[str]:
    index = f"bothways-{COLLECTION}"
    scene.client.indices.refresh(index=index)
    sources = {"sources": {"terms": {"field": "source", "size": 10_000}}}
    found = scene.client.search(index=index, size=0, aggs=sources)["aggregations"]["sources"]["buckets"]
    return {bucket["key"] for bucket in found}


CASES: Mapping[str, Callable[[Scene], list[str]]] = {"hostile files": hostile_files}
