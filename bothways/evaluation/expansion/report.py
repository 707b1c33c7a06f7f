"""What was learnt of expansions, in numbers: what samples bring, and what rules for asking cost and bring.

Everything is a mean over queries with its 95 % interval, in nDCG@10; a part of the queries (`train`, `dev`) each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from bothways.core.errors import UsageError
from bothways.core.text.markdown import markdown_table
from bothways.evaluation.expansion.rewards import MEASURE, Example
from bothways.evaluation.expansion.rule import FOLDS, Choice, Flags, Frame, always, asked, built_in, choose, never
from bothways.evaluation.judged.queries import split_of
from bothways.evaluation.statistics import Values, confidence
from bothways.search.query.when_to_rewrite import ExpansionRule

NEVER, ALWAYS, BUILT_IN, IN_USE, LEARNT = "never", "always", "built-in", "in use", "learnt"


OVER = {ALWAYS: "gain_over_always", BUILT_IN: "gain_over_built_in", IN_USE: "gain_over_in_use"}


def summarise(examples: Sequence[Example], frame: Frame) -> tuple[dict[str, Any], ExpansionRule | None]:
    """Return the figures by part, and the rule that was learnt on the train part; None if that part is too small."""
    parts = {part: [one for one in examples if split_of(one.query_id) == part] for part in ("train", "dev")}
    figures: dict[str, Any] = {
        "measure": MEASURE,
        "price": frame.price,
        "parts": {part: samples(some) for part, some in parts.items() if some},
        "rules": {},
    }
    choice: Choice | None = None
    if len(parts["train"]) >= 2 * FOLDS:
        choice = choose(parts["train"], frame)
        figures["rules"]["train"] = policies(parts["train"], _train_flags(parts["train"], choice, frame), frame.price)
        figures["chosen"] = {"name": choice.name, "net_by_candidate": choice.net}
    if parts["dev"]:
        learnt = {LEARNT: asked(choice.rule, parts["dev"])} if choice else {}
        figures["rules"]["dev"] = policies(parts["dev"], {**_fixed(parts["dev"], frame), **learnt}, frame.price)
    return figures, choice.rule if choice else None


def about_rule(rule: ExpansionRule, figures: Mapping[str, Any], origin: Mapping[str, Any]) -> ExpansionRule:
    """Return the rule with where it comes from and what it brought where it was not fitted."""
    held_out = figures["rules"]["train"][LEARNT]
    return replace(rule, about={**origin, "price": figures["price"], "chosen": figures["chosen"]["name"], **held_out})


def samples(examples: Sequence[Example]) -> dict[str, Any]:
    """Return what one sample brings on average, and what the best one of a query's samples would."""
    if not examples:
        raise UsageError("There is no query with an expansion to measure.")
    rewards = [reward for one in examples for reward in one.rewards]
    return {
        "queries": len(examples),
        "samples": len(rewards),
        "without": _interval([one.first.value for one in examples]),
        "mean_of_n": _interval([one.mean for one in examples]),
        "best_of_n": _interval([one.best for one in examples]),
        "better": sum(reward > 0 for reward in rewards),
        "worse": sum(reward < 0 for reward in rewards),
        "equal": sum(reward == 0 for reward in rewards),
    }


def policies(examples: Sequence[Example], flags: Mapping[str, Flags], price: float) -> dict[str, Any]:
    """Return what each rule asks and brings; `gain` is against never, `per_call` is what one call brings."""
    mean = np.array([one.mean for one in examples])
    plain = np.array([one.first.value for one in examples])
    rows: dict[str, Any] = {}
    for name, decided in flags.items():
        gain = mean * decided
        rows[name] = {
            "asked": float(decided.mean()),
            MEASURE: _interval(plain + gain),
            "gain": _interval(gain),
            "per_call": float(gain.sum() / decided.sum()) if decided.any() else None,
            "net": _interval(gain - price * decided),
        }
        for other, key in OVER.items():
            if other in flags and other != name:
                rows[name][key] = _interval(gain - mean * flags[other])
    return rows


def page(figures: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    lines = [
        f"# What expansions bring: {figures['collection']}",
        "",
        f"Strategy `{figures['strategy']}`, {figures['source']}.",
    ]
    counted = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in figures["counts"].items())
    lines += ["", f"{counted}.", "", f"Change of {MEASURE}, brackets are 95 % intervals:", ""]
    head = ["part", "queries", "samples", "without", "mean of n", "best of n", "better / worse / equal"]
    rows = [
        [
            *(part, row["queries"], row["samples"], _level(row["without"]), _signed(row["mean_of_n"])),
            *(_signed(row["best_of_n"]), f"{row['better']} / {row['worse']} / {row['equal']}"),
        ]
        for part, row in figures["parts"].items()
    ]
    lines.append(markdown_table(head, rows))
    lines += ["", f"## When to ask (a call must bring {figures['price']:g})"]
    for part, rows in figures["rules"].items():
        how = "cross-validated" if part == "train" else "learnt on train"
        head = ["rule", "asked", MEASURE, "gain", "a call", "gain over always", "over built-in"]
        table = markdown_table(head, [_row(name, row) for name, row in rows.items()])
        lines += ["", f"{part} ({how}):", "", table]
    if "chosen" in figures:
        lines += ["", f"Chosen: {figures['chosen']['name']}. Net gain of the candidates, held out: "]
        lines[-1] += (
            ", ".join(f"{name} {net:+.4f}" for name, net in figures["chosen"]["net_by_candidate"].items()) + "."
        )
    else:
        lines += ["", f"Too few train queries to learn a rule from (fewer than {2 * FOLDS})."]
    return "\n".join([*lines, "", f"Command: `{figures['command']}`", ""])


def _train_flags(examples: Sequence[Example], choice: Choice, frame: Frame) -> dict[str, Flags]:
    fixed = _fixed(examples, frame)
    learnt = {f"{name} (held out)": flags for name, flags in choice.held_out.items() if name not in fixed}
    return {**fixed, **learnt, LEARNT: choice.chosen}


def _fixed(examples: Sequence[Example], frame: Frame) -> dict[str, Flags]:
    """Return what is asked without learning anything; what is in use only where that is not the built-in bound."""
    rules = {NEVER: never(examples, frame), ALWAYS: always(examples, frame), BUILT_IN: built_in(examples, frame)}
    flags = {name: asked(rule, examples) for name, rule in rules.items()}
    in_use = np.array([one.first.in_use for one in examples], np.bool_)
    return flags if np.array_equal(in_use, flags[BUILT_IN]) else {**flags, IN_USE: in_use}


def _row(name: str, row: Mapping[str, Any]) -> list[str]:
    per_call = "–" if row["per_call"] is None else f"{row['per_call']:+.3f}"
    over = (_signed(row[OVER[other]]) if OVER[other] in row else "–" for other in (ALWAYS, BUILT_IN))
    return [name, f"{row['asked']:.0%}", _level(row[MEASURE]), _signed(row["gain"]), per_call, *over]


def _interval(values: Sequence[float] | Values) -> dict[str, float]:
    return asdict(confidence(np.asarray(values, dtype=float)))


def _level(row: Mapping[str, float]) -> str:
    return f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _signed(row: Mapping[str, float]) -> str:
    return f"{row['mean']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
