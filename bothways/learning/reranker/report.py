"""What a reranker's training leaves to read: report.json, report.md and a model card with the exact command."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from bothways.core.machine.private_files import write_json
from bothways.learning.pages import CARD, render
from bothways.learning.rank_measures import MEASURE
from bothways.learning.reranker.result import TrainingResult
from bothways.learning.reranker.state import Training
from bothways.learning.run_folder import sha256_of
from bothways.models.files.folder import read_json


def write_report(out: Path, training: Training, trained: TrainingResult) -> dict[str, Any]:
    """Write report.json, report.md and the model card into the model's folder; return the report."""
    report = as_dict(out, training, trained)
    write_json(out / "report.json", report)
    (out / "report.md").write_text(report_page(report), "utf-8")
    (out / CARD).write_text(model_card(report), "utf-8")
    return report


def as_dict(out: Path, training: Training, trained: TrainingResult) -> dict[str, Any]:
    """Return all that is known of a training, and of the one that made its base, where that is such a folder."""
    base_report = read_json(Path(training.arguments.base) / "report.json")
    seconds = sum(session["seconds"] for session in training.sessions)
    return {
        "command": training.command,
        "base_report": base_report if base_report and "command" in base_report else None,
        "arguments": training.arguments.model_dump(),
        "sources": training.sources,
        "data": training.counts,
        "groups_sha256": training.groups_sha256,
        "weights_sha256": sha256_of(out / "model.safetensors"),
        "steps": trained.steps,
        "planned_steps": trained.planned,
        "ended_by": "time" if trained.out_of_time else "steps" if trained.steps == trained.planned else "early stop",
        "best_step": trained.best_step,
        "untrained": training.untrained,
        "best": dict(dict(trained.measures).get(trained.best_step, {})),
        "losses": [list(loss) for loss in trained.losses],
        "measures": [{"step": step, **measures} for step, measures in trained.measures],
        "seconds": round(seconds, 1),
        "sessions": training.sessions,
        "device": trained.device,
        "precision": trained.precision,
        "parameters": dict(trained.parameters),
        "versions": dict(trained.versions),
        "calibration": asdict(trained.calibration) if trained.calibration else None,
        "blending": asdict(trained.blending) if trained.blending else None,
    }


def report_page(report: dict[str, Any]) -> str:
    """Return report.md."""
    names = [name for name in report["untrained"] if name != "step"]
    rows = []
    for row in [{"step": 0, **report["untrained"]}, *report["measures"]]:
        losses = [loss for step, loss in report["losses"] if step <= row["step"]]
        loss = f"{losses[-1]:.4f}" if losses else ""
        rows.append([row["step"], *(f"{row[name]:.4f}" for name in names), loss])
    groups = report["data"].get("groups", {})
    return render("reranker_report.md", report=report, groups=groups, measure=MEASURE, names=names, rows=rows)


def model_card(report: dict[str, Any], *, licences: str = "") -> str:
    """Return a model card as hubs read it: what it is, how it was made, from what, and what it is not."""
    trainings = [report]
    while (before := trainings[0].get("base_report")) is not None:
        trainings.insert(0, before)
    blending = report.get("blending") or {}
    return render(
        "reranker_card.md",
        report=report,
        arguments=report["arguments"],
        groups=report["data"].get("groups", {}),
        trainings=trainings,
        teacher=report["sources"].get("teacher"),
        tried={float(share): value for share, value in blending.get("measures", {}).items()},
        measure=MEASURE,
        licences=licences,
    )
