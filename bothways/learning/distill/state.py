"""What a distillation remembers on disk beside its training: what the teacher was, and of which questions it was asked.

`OUT/distillation/` holds `distillation.json`, `groups.jsonl` (mined), `logits/` (the teacher's, in shards) and
`triplets.jsonl` (the groups with its scores). A copy of that folder in another `OUT` serves another student.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bothways.core.errors import UsageError
from bothways.core.machine.private_files import private_folder
from bothways.learning.reranker.state import differences

FOLDER = "distillation"


@dataclass(slots=True)
class Distillation:
    """One distillation on disk: `facts` tell its data and teacher from others', `counts` say what became of them."""

    facts: dict[str, Any]
    counts: dict[str, Any] = field(default_factory=dict)
    command: str = ""

    def write(self, out: Path) -> None:
        """Write `distillation.json`, whole or not at all."""
        path = state_file(out)
        private_folder(path.parent, narrow=False)
        part = path.with_name(f".{path.name}.part")
        part.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n", "utf-8")
        part.replace(path)


def state_file(out: Path) -> Path:
    """Say where a distillation's state is."""
    return out / FOLDER / "distillation.json"


def mined_file(out: Path) -> Path:
    """Say where the groups are that the teacher is asked of."""
    return out / FOLDER / "groups.jsonl"


def logits_folder(out: Path) -> Path:
    """Say where the shards of the teacher's logits are."""
    return out / FOLDER / "logits"


def triplets_file(out: Path) -> Path:
    """Say where the groups with the teacher's scores are."""
    return out / FOLDER / "triplets.jsonl"


def begin_logits(out: Path, facts: dict[str, Any], *, command: str, resume: bool) -> Distillation:
    """Begin a distillation in a new folder, or go on with the one there; raises `UsageError` where it is another."""
    if not resume:
        if out.exists() and any(out.iterdir()):
            raise UsageError(
                f"{out} is not empty: name another folder, or add --resume to go on with the distillation that was "
                "begun there, or name later --steps alone."
            )
        begun = Distillation(facts, command=command)
        begun.write(out)
        return begun
    known = read_distillation(out)
    if differing := differences(known.facts, facts):
        raise UsageError(
            f"{out} was begun with another teacher or other data: {'; '.join(differing)}. Name those again, or begin "
            "anew in another folder."
        )
    return known


def read_distillation(out: Path) -> Distillation:
    """Read the state of a distillation; raises `UsageError` where there is none."""
    path = state_file(out)
    try:
        return Distillation(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError as error:
        raise UsageError(f"No distillation was begun in {out}: begin with the step `logits`.") from error
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error
