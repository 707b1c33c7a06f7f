"""The state of a distillation on disk beside its training: the teacher, and the questions that it was asked.

`OUT/distillation/` holds `distillation.json`, `groups.jsonl` (mined), `logits/` (the teacher's, in shards) and
`triplets.jsonl` (the groups with its scores). A copy of that folder in another `OUT` serves another student.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bothways.core.errors import UsageError
from bothways.learning.run_folder import RunFolder

FOLDER = "distillation"


@dataclass(slots=True)
class Distillation:
    """One distillation: `facts` tell its data and teacher from others', `counts` say what became of them."""

    facts: dict[str, Any]
    counts: dict[str, Any] = field(default_factory=dict)
    command: str = ""

    def write(self, out: Path) -> None:
        """Write `distillation.json`."""
        _folder(out).write(asdict(self))


def mined_file(out: Path) -> Path:
    """Return the path of the groups that the teacher scores."""
    return out / FOLDER / "groups.jsonl"


def logits_folder(out: Path) -> Path:
    """Return the folder of the teacher's logits, in shards."""
    return out / FOLDER / "logits"


def triplets_file(out: Path) -> Path:
    """Return the path of the groups with the teacher's scores."""
    return out / FOLDER / "triplets.jsonl"


def begin_logits(out: Path, facts: dict[str, Any], *, command: str, resume: bool) -> Distillation:
    """Begin a distillation in a new folder, or resume the one there; raise `UsageError` where it is another."""
    if not resume:
        _folder(out).begin()
        begun = Distillation(facts, command=command)
        begun.write(out)
        return begun
    known = read_distillation(out)
    _folder(out).require_same(known.facts, facts)
    return known


def read_distillation(out: Path) -> Distillation:
    """Read the state of a distillation; raise `UsageError` where there is none."""
    folder = _folder(out)
    try:
        return Distillation(**folder.read())
    except TypeError as error:
        raise UsageError(f"{folder.path} cannot be read: {error}.") from error


def _folder(out: Path) -> RunFolder:
    return RunFolder(
        out=out, state=f"{FOLDER}/distillation.json", kind="distillation", hint="begin with the step `logits`"
    )
