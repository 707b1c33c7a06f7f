"""What a reranker's training did, read from its trainer."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bothways.learning.rank_measures import MEASURE
from bothways.learning.reranker.blending import Blending
from bothways.learning.reranker.calibration import Calibration

_LIBRARIES = ("torch", "transformers", "sentence-transformers", "accelerate", "datasets")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """What a training did: losses and measures by step, the step that was saved, whether its time ended it."""

    steps: int
    planned: int
    best_step: int
    losses: Sequence[tuple[int, float]]
    measures: Sequence[tuple[int, Mapping[str, float]]]
    out_of_time: bool
    device: str
    precision: str
    parameters: Mapping[str, int]
    versions: Mapping[str, str] = field(default_factory=dict)
    calibration: Calibration | None = None
    blending: Blending | None = None


def measures_of(logs: Mapping[str, Any]) -> dict[str, float]:
    """Return the measures in a trainer's log, without the prefix that it gives them."""
    names = ("map", "mrr@10", MEASURE)
    return {name: round(float(logs[f"eval_{name}"]), 4) for name in names if f"eval_{name}" in logs}


def result_of(
    trainer: Any,  # noqa: ANN401
    model: Any,  # noqa: ANN401
    *,
    calibration: Calibration | None,
    blending: Blending | None,
    out_of_time: bool,
) -> TrainingResult:
    """Return what a trainer did, from its state."""
    state = trainer.state
    best = state.best_model_checkpoint
    parameters = list(model.parameters())
    return TrainingResult(
        steps=state.global_step,
        planned=state.max_steps,
        best_step=int(Path(best).name.rpartition("-")[2]) if best else state.global_step,
        losses=[(row["step"], round(row["loss"], 4)) for row in state.log_history if "loss" in row],
        measures=[(row["step"], measures_of(row)) for row in state.log_history if f"eval_{MEASURE}" in row],
        out_of_time=out_of_time,
        device=str(model.device),
        precision="bf16" if trainer.args.bf16 else "fp16" if trainer.args.fp16 else "fp32",
        parameters={
            "all": sum(one.numel() for one in parameters),
            "trained": sum(one.numel() for one in parameters if one.requires_grad),
        },
        versions={"python": platform.python_version(), **{name: _version(name) for name in _LIBRARIES}},
        calibration=calibration,
        blending=blending,
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
