"""The report of a weekly run: what it learnt from, what it changed and why, the gate's numbers, what is live now.

`DIR/runs/RUN/` has the run's own files; `DIR/report.json` and `DIR/report.md` are those of the last run, and
`DIR/history.jsonl` has a line a run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bothways.core.errors import UsageError
from bothways.core.machine.private_files import private_folder
from bothways.learning.weekly.parts import Run, Step

_NAMED = 30
"""Changed chunks that the report for people names; the others stand in report.json."""


def report_of(run: Run, steps: Sequence[Step], *, ended: str) -> dict[str, Any]:
    """Give all numbers of a run. `ended`: done, or interrupted."""
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
            **outcome.tally.as_dict(),
            "clicks": None if outcome.click_randomness is None else asdict(outcome.click_randomness),
            "answers": len(outcome.judged.having("positive")),
            "non_answers": len(outcome.judged.having("negative")),
            "learnt_from": len(parts.learn),
            "held_out_queries": len(parts.held_out),
            "left_out_as_near_held_out": parts.near,
        },
        "gate": {
            "strategy": run.options.search.strategy,
            "measure": demands.measure,
            "margin": demands.margin,
            "margin_held_out": demands.margin_held_out,
            "min_held_out": demands.min_held_out,
            "min_regression": demands.min_regression,
            "regression_queries": None if run.options.regression is None else len(run.options.regression),
            "max_share": run.options.limits.max_share,
        },
        "steps": [step.as_dict() for step in steps],
    }


def write_run(out: Path, folder: Path, report: Mapping[str, Any]) -> None:
    """Write a run's report into its folder and over the last one's, and add a line to the history."""
    text = json.dumps(report, ensure_ascii=False, indent=2) + "\n"
    lines = "".join(f"{line}\n" for line in markdown(report))
    try:
        for place in (folder, out):
            private_folder(place, narrow=False)
            (place / "report.json").write_text(text, encoding="utf-8")
            (place / "report.md").write_text(lines, encoding="utf-8")
        with (out / "history.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(_in_short(report), ensure_ascii=False) + "\n")
    except OSError as error:
        raise UsageError(f"The report cannot be written to {out}: {error}.") from error


def _in_short(report: Mapping[str, Any]) -> dict[str, Any]:
    steps = {step["step"]: {"state": step["state"], "reason": step["reason"]} for step in report["steps"]}
    names = ("run", "collection", "started_at", "ended")
    return {name: report[name] for name in names} | {"steps": steps}


def markdown(report: Mapping[str, Any]) -> Iterator[str]:
    """Give the lines of the report for people."""
    read = report["feedback"]
    yield f"# What {report['collection']} learnt: {report['run']}"
    yield f"\n{read['since'] or 'The beginning'} to {read['until']}; the run was {report['ended']}.\n"
    yield from _table(
        ("step", "outcome", "why"), ((s["step"], f"**{s['state']}**", s["reason"]) for s in report["steps"])
    )
    yield "\n## Learnt from\n"
    yield (
        f"{read['searches']:,} searches, {read['sessions']:,} of them reacted to: {read['answers']:,} answers and "
        f"{read['non_answers']:,} non-answers are certain. {read['learnt_from']:,} judgments to learn from, "
        f"{read['held_out_queries']:,} questions held out, {read['left_out_as_near_held_out']:,} judgments left out "
        "as nearly one of those."
    )
    if read["clicks"] is not None:
        yield (
            f"\nClicks: dispersion at equal ranks {read['clicks']['dispersion']:.2f} (by chance: 1), at the last ranks "
            f"{read['clicks']['flatness']:.2f} for each at the best one (by chance: 1)."
        )
    for step in report["steps"]:
        if "gate" in step:
            yield f"\n## The gate: {step['step']}\n"
            yield from _gate(step["gate"], report["gate"])
    for step in report["steps"]:
        if step.get("changes"):
            yield from _changes(step)


def _gate(decision: Mapping[str, Any], demands: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Strategy {demands['strategy']}; {demands['measure']}; a loss of more than {demands['margin']:g} (held-out: "
        f"{demands['margin_held_out']:g}) has to be excluded. "
        f"**{'Accepted' if decision['accepted'] else 'Refused'}.**\n"
    )
    head = ("set", "queries", "live", "candidate", "difference, 95 %", "better / worse", "hit@10")
    rows = (
        (
            one["name"],
            one["queries"],
            f"{one['live']:.4f}",
            f"{one['candidate']:.4f}",
            f"{one['difference']['mean']:+.4f} [{one['difference']['low']:+.4f}, {one['difference']['high']:+.4f}]",
            f"{one['better']} / {one['worse']}",
            f"{one['live_hit']:.3f} → {one['candidate_hit']:.3f}",
        )
        for one in decision["sets"]
    )
    yield from _table(head, rows)
    for reason in decision["reasons"]:
        yield f"\nRefused: {reason}."


def _changes(step: Mapping[str, Any]) -> Iterator[str]:
    changes = step["changes"]
    yield f"\n## Changed chunks: {len(changes)} of {step['chunks']:,}\n"
    for name, value in (("Dropped as copies", step.get("dropped_as_copies")), ("Failed", step.get("failures"))):
        if value:
            told = ", ".join(f"{n} of {what}" for what, n in value.items()) if isinstance(value, dict) else len(value)
            yield f"{name}: {told}.\n"
    for one in changes[:_NAMED]:
        yield f"### {_one_line(one.get('title') or one['chunk_id'])}\n"
        yield from (f"- {_one_line(reason)}" for reason in one["reasons"])
        if "after" in one:
            yield f"- before: {_one_line(' / '.join(one['before']) or 'no questions')}"
            yield f"- now: {_one_line(' / '.join(one['after']))}"
        yield ""
    if len(changes) > _NAMED:
        yield f"… and {len(changes) - _NAMED} more in report.json."


def _one_line(text: str) -> str:
    return " ".join(text.split())[:400].replace("|", "\\|")


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        # Questions are typed by strangers: on one line, and no cell of their own.
        cells = (" ".join(str(cell).replace("|", "\\|").split())[:600] for cell in row)
        yield f"| {' | '.join(cells)} |"
