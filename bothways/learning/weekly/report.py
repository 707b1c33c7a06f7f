"""The report of a weekly run: what it learnt from, what it changed and why, the gate's numbers, what is live now.

`DIR/runs/RUN/` has the run's own files; `DIR/report.json` and `DIR/report.md` are those of the last run, and
`DIR/history.jsonl` has a line a run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bothways.core.errors import UsageError
from bothways.core.machine.private_files import private_folder, write_json
from bothways.learning.pages import render
from bothways.learning.weekly.parts import Run, Step

_NAMED = 30
"""Changed chunks that report.md names; report.json has all."""


def report_of(run: Run, steps: Sequence[Step], *, ended: str) -> dict[str, Any]:
    """Return all numbers of a run. `ended`: done, or interrupted."""
    outcome, parts, demands = run.outcome, run.parts, run.options.demands
    return {
        "run": run.run_id,
        "collection": run.collection,
        "started_at": run.started_at,
        "ended": ended,
        "dry_run": run.options.dry_run,
        "feedback": {
            "since": outcome.since,
            "until": outcome.until,
            **asdict(outcome.tally),
            "clicks": None if outcome.click_randomness is None else asdict(outcome.click_randomness),
            "answers": len(outcome.judged.having("positive")),
            "non_answers": len(outcome.judged.having("negative")),
            "learnt_from": len(parts.learn),
            "held_out_queries": len(parts.held_out),
            "left_out_as_near_held_out": parts.near,
        },
        "gate": {
            "strategy": run.options.search.strategy,
            **demands.model_dump(),
            "regression_queries": None if run.options.regression is None else len(run.options.regression),
            "max_share": run.options.limits.max_share,
        },
        "steps": [step.as_dict() for step in steps],
    }


def write_run(out: Path, folder: Path, report: Mapping[str, Any]) -> None:
    """Write a run's report into its folder and over the last one's, and add a line to the history."""
    try:
        for target in (folder, out):
            private_folder(target, narrow=False)
            write_json(target / "report.json", report, indent=2)
            (target / "report.md").write_text(_page(report), encoding="utf-8")
        with (out / "history.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(_in_short(report), ensure_ascii=False) + "\n")
    except OSError as error:
        raise UsageError(f"The report cannot be written to {out}: {error}.") from error


def _in_short(report: Mapping[str, Any]) -> dict[str, Any]:
    steps = {step["step"]: {"state": step["state"], "reason": step["reason"]} for step in report["steps"]}
    names = ("run", "collection", "started_at", "ended")
    return {name: report[name] for name in names} | {"steps": steps}


def _page(report: Mapping[str, Any]) -> str:
    """Return report.md."""
    outcomes = [(step["step"], f"**{step['state']}**", step["reason"]) for step in report["steps"]]
    return render("run.md", report=report, read=report["feedback"], outcomes=outcomes, named=_NAMED)
