"""What a training remembers on disk: its arguments and a fingerprint of its data, so that it goes on with the same.

`OUT/training/` holds `training.json`, `groups.jsonl` and `checkpoints/`; the trained model lies in `OUT` itself.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from bothways.core.errors import UsageError
from bothways.core.machine.private_files import private_folder

Loss = Literal["listwise", "bce", "margin-mse", "kl"]
TAUGHT: frozenset[Loss] = frozenset({"margin-mse", "kl"})
"""Losses that want a teacher's scores."""
FOLDER = "training"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingArguments:
    """How a reranker is trained.

    `layers`: how many of the base model's are kept; None: all. `begin_with`: which
    (`bothways.learning.reranker.student`). `patience`: measurements without a gain after which it ends. `evaluations`:
    measurements in all, at even distances. `accumulation`: batches of one step. `temperature` and `hard_label` (the
    share of the loss that looks at the answer alone) belong to the losses that have a teacher. `residual`: what the
    first stage's score weighs that stands beside the logits while it learns
    (`bothways.learning.reranker.data.first_stage`); 0: nothing stands there; None: as with the base.
    """

    base: str
    epochs: float = 1.0
    batch_size: int = 8
    learning_rate: float = 5e-5
    max_length: int = 160
    loss: Loss = "listwise"
    layers: int | None = None
    freeze_embeddings: bool = True
    seed: int = 42
    patience: int = 3
    evaluations: int = 8
    begin_with: str = "lowest"
    accumulation: int = 1
    temperature: float = 1.0
    hard_label: float = 0.0
    residual: float | None = 0.0


@dataclass(slots=True, kw_only=True)
class Training:
    """One training on disk: `sources` and `data` are what it was begun with, `counts` what became of the questions."""

    arguments: TrainingArguments
    sources: dict[str, Any]
    groups_sha256: str = ""
    counts: dict[str, Any] = field(default_factory=dict)
    untrained: dict[str, float] = field(default_factory=dict)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    command: str = ""

    def write(self, out: Path) -> None:
        """Write `training.json`, whole or not at all."""
        path = state_file(out)
        part = path.with_name(f".{path.name}.part")
        part.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n", "utf-8")
        part.replace(path)


def state_file(out: Path) -> Path:
    """Say where a training's state is."""
    return out / FOLDER / "training.json"


def groups_file(out: Path) -> Path:
    """Say where a training's groups are."""
    return out / FOLDER / "groups.jsonl"


def begin(
    out: Path,
    arguments: TrainingArguments,
    sources: dict[str, Any],
    *,
    command: str,
    resume: bool,
    beside: frozenset[str] = frozenset(),
) -> Training:
    """Begin a training in a new folder (what is named `beside` may be in it), or go on with the one that is there.

    Raises `UsageError` where `out` is taken and `resume` is not asked for; where there is nothing to go on with; and
    where arguments or data are others than those that it was begun with, naming them.
    """
    if not resume:
        if out.exists() and any(path.name not in beside for path in out.iterdir()):
            raise UsageError(
                f"{out} is not empty: name another folder, or add --resume to go on with a training that was begun "
                "there."
            )
        private_folder(out / FOLDER, narrow=False)
        training = Training(arguments=arguments, sources=sources, command=command)
        training.write(out)
        return training
    known = read_training(out)
    differing = differences({**asdict(known.arguments), **known.sources}, {**asdict(arguments), **sources})
    if differing:
        raise UsageError(
            f"{out} was begun with other arguments or data: {'; '.join(differing)}. Name those again, or train "
            "anew in another folder."
        )
    if known.groups_sha256 and sha256_of(groups_file(out)) != known.groups_sha256:
        raise UsageError(f"{groups_file(out)} was changed since the training began: train anew in another folder.")
    return known


def forget(out: Path) -> None:
    """Remove the state of a training that came to nothing, and its folder where nothing else is in it."""
    state_file(out).unlink(missing_ok=True)
    for folder in (out / FOLDER, out):
        if not any(folder.iterdir()):
            folder.rmdir()


def read_training(out: Path) -> Training:
    """Read the state of a training; raises `UsageError` where there is none."""
    path = state_file(out)
    try:
        row = json.loads(path.read_text("utf-8"))
        return Training(**{**row, "arguments": TrainingArguments(**row["arguments"])})
    except FileNotFoundError as error:
        raise UsageError(f"No training was begun in {out}: leave --resume away.") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error


def sha256_of(path: Path) -> str:
    """Give a file's SHA-256; raises `UsageError` where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error


def differences(known: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """Name what a state read from a file and one just asked for differ in, with both values."""
    asked = json.loads(json.dumps(asked))  # as the file would give it back: a tuple is a list there
    return [
        f"{name} was {known.get(name)!r}, is {asked.get(name)!r}"
        for name in sorted(known.keys() | asked.keys())
        if known.get(name) != asked.get(name)
    ]
