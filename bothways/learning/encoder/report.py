"""What an encoder's distillation leaves to read: report.json, and a model card with before and after."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bothways.learning.distill.state import Distillation
from bothways.learning.rank_measures import MEASURES
from bothways.learning.reranker.report import CARD
from bothways.learning.run_folder import sha256_of

Measured = Mapping[str, Sequence[Mapping[str, Any]]]


def write_encoder_report(
    out: Path,
    state: Distillation,
    arguments: Mapping[str, Any],
    learnt: Mapping[str, Any],
    tuning: Mapping[str, Any],
    before: Measured,
    after: Measured,
) -> dict[str, Any]:
    """Write report.json and the model card into the model's folder; gives what report.json says."""
    report = {
        "command": state.command,
        "arguments": dict(arguments),
        "facts": state.facts,
        "data": {name: value for name, value in state.counts.items() if name != "before"},
        "training": dict(learnt),
        "interpolation": dict(tuning),
        "before": before,
        "after": after,
        "changes": changes(before, after),
        "weights_sha256": sha256_of(out / "model.safetensors"),
    }
    (out / "report.json").write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", "utf-8")
    (out / CARD).write_text(encoder_card(report), "utf-8")
    return report


def changes(before: Measured, after: Measured) -> list[dict[str, Any]]:
    """Give the relative change of each measure by bench, None where it was 0 before."""
    rows = []
    for kind, some in before.items():
        for one, other in zip(some, after[kind], strict=True):
            relative = {m: round(other[m] / one[m] - 1, 4) if one[m] else None for m in MEASURES}
            rows.append({"name": one["name"], "kind": kind, **relative})
    return rows


def encoder_card(report: Mapping[str, Any]) -> str:
    """Give a model card: what it is, what it gained and forgot, how it was made."""
    arguments, training = report["arguments"], report["training"]
    lines = [
        "---",
        "library_name: sentence-transformers",
        "pipeline_tag: sentence-similarity",
        f"base_model: {arguments['base']}",
        "---",
        "",
        f"# An encoder made of {arguments['base']}",
        "",
        f"It learnt the scores of `{arguments['teacher']}`. A collection has to be indexed anew with it.",
        "",
        "## Before and after",
        "",
        *measures_table(report),
        "",
        (
            f"Of what was learnt {report['interpolation']['share']:.0%} is in it: the weights are that far from the "
            "base's to the trained ones, chosen on questions held out of training:"
        ),
        "",
        "| share | domain nDCG@10 | general nDCG@10 |",
        "|---|---|---|",
        *(
            f"| {row['share']:g} | {_told(row['domain'])} | {_told(row['general'])} |"
            for row in report["interpolation"]["rows"]
        ),
        "",
        "## How it was made",
        "",
        f"    {report['command']}",
        "",
        (
            f"{training['steps']} of {training['planned']} steps in {training['seconds'] / 60:.1f} minutes "
            f"({training['precision']}); {arguments['batch_size']} questions a batch with {arguments['candidates']} "
            f"candidates each and each other's; temperature {arguments['temperature']:g}, of the teacher "
            f"{arguments['teacher_temperature']:g}, share of the hard label {arguments['hard_label']:g}, of batches "
            f"in which the base is the teacher {arguments['general_share']:g}; learning rate "
            f"{arguments['learning_rate']:g}, seed {arguments['seed']}."
        ),
        "",
        *(f"- {name}: {_counted(value)}" for name, value in report["data"].items()),
        f"- model.safetensors: SHA-256 {report['weights_sha256']}",
        "",
    ]
    return "\n".join(lines)


def measures_table(report: Mapping[str, Any]) -> list[str]:
    """Give the table of before and after."""
    lines = [
        "| | queries | texts | MAP | MRR@10 | nDCG@10 | nDCG@10, relative |",
        "|---|---|---|---|---|---|---|",
    ]
    changed = iter(report["changes"])
    for kind, some in report["before"].items():
        for one, other in zip(some, report["after"][kind], strict=True):
            told = " | ".join(f"{one[m]:.4f} → {other[m]:.4f}" for m in MEASURES)
            relative = next(changed)["ndcg@10"]
            share = "" if relative is None else f"{relative:+.1%}"
            lines.append(f"| {one['name']} ({kind}) | {one['queries']} | {one['texts']} | {told} | {share} |")
    return lines


def _told(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _counted(value: object) -> str:
    return ", ".join(f"{name} {number}" for name, number in value.items()) if isinstance(value, dict) else str(value)
