"""What `benchmarks.chaos` does to the alias of its collection: takes it away, and restores a snapshot without it.

Each case ends with the collection as it was: nothing is deleted, no version hides another, the next command says what
to do, and that does it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from elasticsearch import Elasticsearch

from benchmarks.shared.corpus import ROOT

ALIAS = "bothways-chaos"
REPOSITORY = "chaos"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A finished build: the client of its node, its environment, and a folder that the node may write to."""

    client: Elasticsearch
    environment: Mapping[str, str]
    folder: Path
    repository: Path


def lost_alias(scene: Scene) -> list[str]:
    """Take the alias away, then index one file; say what is not as it must be."""
    scene.client.indices.delete_alias(index=f"{ALIAS}-v*", name=ALIAS)
    return _refused_then_adopted(scene)


def restored_snapshot(scene: Scene) -> list[str]:
    """Restore the collection from a snapshot without its aliases, then index one file."""
    client = scene.client
    client.snapshot.create_repository(
        name=REPOSITORY, repository={"type": "fs", "settings": {"location": str(scene.repository)}}
    )
    client.snapshot.create(
        repository=REPOSITORY, snapshot="one", indices=f"{ALIAS}-v*", wait_for_completion=True, feature_states=["none"]
    )
    for index in client.indices.get(index=f"{ALIAS}-v*"):
        client.indices.delete(index=index)
    client.snapshot.restore(
        repository=REPOSITORY,
        snapshot="one",
        indices=f"{ALIAS}-v*",
        include_aliases=False,
        wait_for_completion=True,
        feature_states=["none"],
    )
    return _refused_then_adopted(scene)


CASES: Mapping[str, Callable[[Scene], list[str]]] = {
    "lost alias": lost_alias,
    "restored snapshot (without aliases)": restored_snapshot,
}


def _refused_then_adopted(scene: Scene) -> list[str]:
    one = scene.folder / "one.txt"
    one.write_text("差旅费用凭发票报销。", encoding="utf-8")
    before = _chunks(scene)
    problems = []
    for verb in (("index", str(one), "--no-questions"), ("index", str(one), "--no-questions", "--recreate")):
        code, told = _typed(scene, *verb, "--collection", "chaos")
        if code == 0 or "collections adopt" not in told:
            problems.append(f"`{verb[0]}` without an alias ended with {code}: {told[-300:]}")
        if _chunks(scene) != before:
            problems.append(f"`{' '.join(verb)}` changed the versions: {before} became {_chunks(scene)}")
    _, told = _typed(scene, "collections")
    hint = re.search(r"bothways (collections adopt chaos --version \d+)", told)
    if hint is None:
        return [*problems, f"`collections` names no version to adopt: {told[-300:]}"]
    code, told = _typed(scene, *hint[1].split())
    if code:
        problems.append(f"`{hint[1]}` ended with {code}: {told[-300:]}")
    if _chunks(scene) != before:
        problems.append(f"adopting changed the versions: {before} became {_chunks(scene)}")
    if not scene.client.indices.exists_alias(name=ALIAS):
        problems.append("after adopting there is no alias")
    return problems


def _chunks(scene: Scene) -> dict[str, int]:
    scene.client.indices.refresh(index=f"{ALIAS}-v*")
    versions = list(scene.client.indices.get(index=f"{ALIAS}-v*"))
    return {index: int(scene.client.count(index=index)["count"]) for index in versions}


def _typed(scene: Scene, *words: str) -> tuple[int, str]:
    """Type a command; gives its exit code and what it said on stderr."""
    command = [sys.executable, "-c", "from bothways.cli.main import main; main()", *words]
    done = subprocess.run(command, env=dict(scene.environment), cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr
