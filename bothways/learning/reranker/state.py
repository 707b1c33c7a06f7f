"""The state of a reranker's training on disk, by which an interrupted one resumes.

`OUT/training/` holds `training.json`, `groups.jsonl` and `checkpoints/`; the trained model lies in `OUT` itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bothways.core.errors import UsageError
from bothways.learning.reranker.data.groups import Group, write_groups
from bothways.learning.run_folder import RunFolder, sha256_of
from bothways.learning.training_arguments import RerankerArguments

FOLDER = "training"


@dataclass(slots=True, kw_only=True)
class Training:
    """One training: `sources` say what it was begun with, `counts` what became of the questions."""

    arguments: RerankerArguments
    sources: dict[str, Any]
    groups_sha256: str = ""
    counts: dict[str, Any] = field(default_factory=dict)
    untrained: dict[str, float] = field(default_factory=dict)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    command: str = ""

    def write(self, out: Path) -> None:
        """Write `training.json`."""
        _folder(out).write({**asdict(self), "arguments": self.arguments.model_dump()})

    def write_groups(self, out: Path, groups: Sequence[Group], counts: dict[str, Any]) -> None:
        """Write the groups that are trained on, with their checksum and what became of the questions."""
        write_groups(groups_file(out), groups)
        self.counts, self.groups_sha256 = counts, sha256_of(groups_file(out))
        self.write(out)


def groups_file(out: Path) -> Path:
    """Return the path of a training's groups."""
    return out / FOLDER / "groups.jsonl"


def has_begun(out: Path) -> bool:
    """Return whether a training was begun in a folder."""
    return _folder(out).path.is_file()


def begin(
    out: Path,
    arguments: RerankerArguments,
    sources: dict[str, Any],
    *,
    command: str,
    resume: bool,
    beside: frozenset[str] = frozenset(),
) -> Training:
    """Begin a training in a new folder (what is named `beside` may be in it), or resume the one that is there.

    Raises `UsageError` where `out` is taken and `resume` is not given; where there is nothing to resume; and where
    arguments or data are not those that it was begun with.
    """
    folder = _folder(out)
    if not resume:
        folder.begin(beside=beside)
        training = Training(arguments=arguments, sources=sources, command=command)
        training.write(out)
        return training
    known = read_training(out)
    folder.require_same({**known.arguments.model_dump(), **known.sources}, {**arguments.model_dump(), **sources})
    if known.groups_sha256 and sha256_of(groups_file(out)) != known.groups_sha256:
        raise UsageError(f"{groups_file(out)} was changed since the training began: train anew in another folder.")
    return known


def forget(out: Path) -> None:
    """Remove the state of a training that came to nothing, and its folder where nothing else is in it."""
    _folder(out).path.unlink(missing_ok=True)
    for folder in (out / FOLDER, out):
        if not any(folder.iterdir()):
            folder.rmdir()


def read_training(out: Path) -> Training:
    """Read the state of a training; raise `UsageError` where there is none."""
    folder = _folder(out)
    row = folder.read()
    try:
        return Training(**{**row, "arguments": RerankerArguments(**row["arguments"])})
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{folder.path} cannot be read: {error}.") from error


def _folder(out: Path) -> RunFolder:
    return RunFolder(out=out, state=f"{FOLDER}/training.json", kind="training")
