"""What a reranker's training leaves to read: report.json, report.md and a model card with the exact command."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bothways.learning.rank_measures import MEASURE
from bothways.learning.reranker.state import Training
from bothways.learning.reranker.train import TrainingResult
from bothways.learning.run_folder import sha256_of
from bothways.models.files.folder import read_json

CARD = "README.md"


def write_report(out: Path, training: Training, trained: TrainingResult) -> dict[str, Any]:
    """Write report.json, report.md and the model card into the model's folder; gives what report.json says."""
    report = as_dict(out, training, trained)
    (out / "report.json").write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")
    (out / "report.md").write_text(report_page(report), "utf-8")
    (out / CARD).write_text(model_card(report), "utf-8")
    return report


def as_dict(out: Path, training: Training, trained: TrainingResult) -> dict[str, Any]:
    """Give all that is known of a training, and of the one that made its base, where that is such a folder."""
    begun_with = read_json(Path(training.arguments.base) / "report.json")
    seconds = sum(session["seconds"] for session in training.sessions)
    best = dict(trained.measures).get(trained.best_step, {})
    return {
        "command": training.command,
        "base_report": begun_with if begun_with and "command" in begun_with else None,
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
        "best": dict(best),
        "losses": [list(one) for one in trained.losses],
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
    """Give report.md."""
    groups = report["data"].get("groups", {})
    lines = [
        f"# A reranker on {report['arguments']['base']}",
        "",
        (
            f"{groups.get('train', 0)} groups to train on, {groups.get('dev', 0)} to measure by; {report['steps']} of "
            f"{report['planned_steps']} steps in {report['seconds'] / 60:.1f} minutes on {report['device']} "
            f"({report['precision']}), ended by {report['ended_by']}. Saved: step {report['best_step']}, {MEASURE} "
            f"{report['best'].get(MEASURE, float('nan')):.4f} (untrained {report['untrained'].get(MEASURE, 0.0):.4f})."
        ),
        "",
        (
            "These measures are of groups (an answer among mined negatives), not of searches: `bothways eval` says "
            "what it brings there."
        ),
        "",
        *_measures(report),
        "",
        "## Data",
        "",
        *(f"- {name}: {_told(value)}" for name, value in report["data"].items()),
        "",
        f"Command: `{report['command']}`",
        "",
    ]
    return "\n".join(lines)


def model_card(report: dict[str, Any], *, licences: str = "") -> str:
    """Give a model card as hubs read it: what it is, how it was made, from what, and what it is not."""
    arguments = report["arguments"]
    groups = report["data"].get("groups", {})
    trainings = _trainings(report)
    base = trainings[0]["arguments"]["base"]
    best, untrained = report["best"].get(MEASURE), report["untrained"].get(MEASURE)
    said = f"from {untrained:.4f} untrained to {best:.4f}" if best and untrained else "not measured"
    lines = [
        "---",
        "library_name: sentence-transformers",
        "pipeline_tag: text-ranking",
        f"base_model: {base}",
        "tags: [cross-encoder, reranker]",
        "---",
        "",
        f"# A reranker made of {base}",
        "",
        (
            "A cross-encoder: question and passage in, one logit out, higher is more relevant. Passages are written as "
            "`title`, line break, `text`, or `text` alone; both forms were trained on."
        ),
        "",
        "## How it was made",
        "",
        *(f"    {one['command']}" for one in trainings),
        "",
        *(_before(one) for one in trainings[:-1]),
        f"{report['steps']} of {report['planned_steps']} steps of {arguments['batch_size']} groups, of "
        f"{groups.get('train', 0):,} groups of one answer and up to {report['sources'].get('negatives', '?')} hard "
        f"negatives, mined from the legs of a hybrid search; loss {arguments['loss']}, {arguments['epochs']:g} epochs "
        f"planned, learning rate {arguments['learning_rate']:g}, at most {arguments['max_length']} tokens a pair, seed "
        f"{arguments['seed']}"
        + (", embeddings frozen" if arguments["freeze_embeddings"] else "")
        + f". {report['parameters'].get('trained', 0):,} of {report['parameters'].get('all', 0):,} parameters were "
        f"trained, {report['seconds'] / 60:.1f} minutes on {report['device']} ({report['precision']}); "
        + ", ".join(f"{name} {number}" for name, number in report["versions"].items() if number)
        + ".",
        "",
        *_taught(report),
        (
            f"On {groups.get('dev', 0)} groups kept aside, {MEASURE} went {said} (step {report['best_step']} of "
            f"{report['planned_steps']}). That is no measure of a search."
        ),
        *_calibrated(report.get("calibration")),
        *_blended(report.get("blending")),
        "",
        "## Data",
        "",
        *(
            f"- {name}: {number} questions"
            for one in trainings
            for name, number in one["data"].get("drawn", {}).items()
        ),
        f"- kept out, as they are what models are judged by: {_told(report['data'].get('kept_out', {})) or 'none'}",
        "",
        f"Licences of the data: {licences or '(to be named by whoever gives this model on)'}",
        "",
        "## What it is not",
        "",
        (
            "It was trained on one kind of text. Alone it can be worse than the first stage on others: fuse the two "
            "(`bothways eval tune --params rerank.alpha`), and measure before it is switched on."
        ),
        "",
        "## Checksums",
        "",
        f"- groups it was trained on: SHA-256 {report['groups_sha256']}",
        f"- model.safetensors: SHA-256 {report['weights_sha256']}",
        "",
    ]
    return "\n".join(lines)


def _trainings(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the reports of the trainings that made a model, the first of them first."""
    found = [report]
    while (before := found[0].get("base_report")) is not None:
        found.insert(0, before)
    return found


def _before(report: dict[str, Any]) -> str:
    return (
        f"Before the last training: {report['steps']} steps of {report['arguments']['batch_size']} groups, of "
        f"{report['data'].get('groups', {}).get('train', 0):,}, in {report['seconds'] / 60:.1f} minutes, learning rate "
        f"{report['arguments']['learning_rate']:g}, seed {report['arguments']['seed']}; groups SHA-256 "
        f"{report['groups_sha256']}.\n"
    )


def _measures(report: dict[str, Any]) -> list[str]:
    losses = dict(map(tuple, report["losses"]))
    names = [name for name in report["untrained"] if name != "step"]
    rows = [{"step": 0, **report["untrained"]}, *report["measures"]]
    lines = [f"| step | {' | '.join(names)} | loss |", "|---" * (len(names) + 2) + "|"]
    for row in rows:
        before = [loss for step, loss in losses.items() if step <= row["step"]]
        loss = f"{before[-1]:.4f}" if before else ""
        lines.append(f"| {row['step']} | {' | '.join(f'{row[name]:.4f}' for name in names)} | {loss} |")
    return lines


def _taught(report: dict[str, Any]) -> list[str]:
    teacher, arguments = report["sources"].get("teacher"), report["arguments"]
    if teacher is None:
        return []
    return [
        (
            f"Taught by {teacher['name']} ({teacher['kind']}, fingerprint {teacher['fingerprint']}): loss "
            f"{arguments['loss']}, temperature {arguments['temperature']:g}, share of the hard label "
            f"{arguments['hard_label']:g}; "
            + (
                f"{arguments['layers']} layers, begun with {arguments['begin_with']}."
                if arguments["layers"]
                else "all layers."
            )
        ),
        "",
    ]


def _told(value: object) -> str:
    return ", ".join(f"{name} {number}" for name, number in value.items()) if isinstance(value, dict) else str(value)


def _calibrated(calibration: dict[str, Any] | None) -> list[str]:
    if calibration is None:
        return []
    return [
        "",
        (
            f"Calibrated on the same groups ({calibration['pairs']:,} pairs): sigmoid(logit) is the chance that a "
            f"passage answers, where half of them did; log loss {calibration['after']:.3f} nats for "
            f"{calibration['before']:.3f}. Scale and offset are in the head; the order is what it was."
        ),
    ]


def _blended(blending: dict[str, Any] | None) -> list[str]:
    if blending is None:
        return []
    tried = {float(share): value for share, value in blending["measures"].items()}
    return [
        "",
        (
            f"Its score has a share of {blending['alpha']:g} beside the first stage's (`rerank_alpha` in config.json, "
            f"`BOTHWAYS_RERANK_ALPHA` overrides it), chosen on {blending['groups']} groups of people's questions kept "
            f"aside: {MEASURE} {tried[0.0]:.4f} by the first stage, {tried[blending['alpha']]:.4f} so, "
            f"{tried[1.0]:.4f} alone."
        ),
    ]
