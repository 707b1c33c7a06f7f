"""What an encoder's distillation leaves to read: report.json, and a model card with before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bothways.core.machine.private_files import write_json
from bothways.core.text.markdown import markdown_table
from bothways.learning.distill.state import Distillation
from bothways.learning.pages import CARD, render
from bothways.learning.rank_measures import MEASURES
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
    """Write report.json and the model card into the model's folder; returns what report.json says."""
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
    write_json(out / "report.json", report)
    (out / CARD).write_text(encoder_card(report), "utf-8")
    return report


def changes(before: Measured, after: Measured) -> list[dict[str, Any]]:
    """Return the relative change of each measure by bench, None where it was 0 before."""
    rows = []
    for kind, some in before.items():
        for old, new in zip(some, after[kind], strict=True):
            relative = {m: round(new[m] / old[m] - 1, 4) if old[m] else None for m in MEASURES}
            rows.append({"name": old["name"], "kind": kind, **relative})
    return rows


def encoder_card(report: Mapping[str, Any]) -> str:
    """Return a model card: what it is, what it gained and forgot, how it was made."""
    return render(
        "encoder_card.md",
        report=report,
        arguments=report["arguments"],
        training=report["training"],
        measures=measures_table(report),
    )


def measures_table(report: Mapping[str, Any]) -> str:
    """Return the table of before and after."""
    rows = []
    changed = iter(report["changes"])
    for kind, some in report["before"].items():
        for before, after in zip(some, report["after"][kind], strict=True):
            relative = next(changed)["ndcg@10"]
            values = [f"{before[measure]:.4f} → {after[measure]:.4f}" for measure in MEASURES]
            share = "" if relative is None else f"{relative:+.1%}"
            rows.append([f"{before['name']} ({kind})", before["queries"], before["texts"], *values, share])
    head = ["", "queries", "texts", "MAP", "MRR@10", "nDCG@10", "nDCG@10, relative"]
    return markdown_table(head, rows)
