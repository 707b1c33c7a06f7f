"""What weekly learning brings, and what stops a poisoned week: `python -m benchmarks.learning`, on the law texts.

Simulated users search a collection that has one weak question an article (or none), click by what is relevant, and the
weekly job learns from it, three times. Each article's five recorded questions have one role each, drawn by the seed:
indexed at first, asked by users, kept for evaluation (never asked, never indexed), and written by the scripted language
model when it is asked for new ones. Then come weeks of random and of malicious clicks, each from the same state.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.learning.people import Baiter, ScriptedModel
from benchmarks.learning.simulated_readers import INFORMATIONAL, NAVIGATIONAL, RandomReader, Reader
from benchmarks.learning.world import World
from benchmarks.shared.corpus import ROOT
from bothways.core.settings import settings
from bothways.evaluation.judged.queries import JudgedQuery
from bothways.evaluation.statistics import Values, confidence
from bothways.learning.weekly.gate import Demands
from bothways.learning.weekly.promotion import roll_back


def main() -> int:
    """Run it all and write the numbers; 1 where a target is missed."""
    options = _options().parse_args()
    with tempfile.TemporaryDirectory(prefix="bothways-learn-") as folder:
        world = World(options, settings(), Path(folder))
        try:
            world.index()
            results = _weeks(world) | {"poisoned": list(_poisoned(world)) if options.poison else []}
        finally:
            world.close()
    results["options"] = {name: str(value) for name, value in vars(options).items()}
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"learning-{'weak-' if options.weak else ''}{options.first}-{options.seed}.json"
    path.write_text(json.dumps(results, ensure_ascii=False, indent=1) + "\n", "utf-8")
    stopped = all(one["state"] == "refused" or one["state"] == "nothing" for one in results["poisoned"])
    gained = results["gain_hit@10"]["mean"] >= 0.03
    told = f"every poisoned round stopped: {stopped}" if options.poison else "no poisoned round"
    print(f"hit@10 up by 3 points: {gained}; {told}. Numbers: {path}")
    return 0 if gained and stopped else 1


def _weeks(world: World) -> dict[str, Any]:
    """Let honest users search for the weeks, the job learn at the end of each."""
    before = world.measure()
    rows = [_row(0, before)]
    print(_line(rows[-1]), flush=True)
    llm = ScriptedModel(world.articles)
    changed: set[str] = set()
    asked: set[tuple[str, str]] = set()
    for week in range(world.wanted.weeks):
        at = [world.popular[int(n)] for n in world.chance.permutation(len(world.popular))[: world.wanted.asked]]
        asked |= {article.key for article in at}
        searches = world.use(week, partial(_honest, world.chance), at=at)
        report = world.learn(week, llm)
        [step] = report["steps"]
        if step["state"] == "promoted":
            changed |= {one["chunk_id"] for one in step["changes"]}
        after = world.measure()
        rows.append(
            _row(week + 1, after) | _told(report, step) | {"searches": searches, "changed_so_far": len(changed)}
        )
        print(_line(rows[-1]), flush=True)
    chunks = world.chunks_of()
    popular = np.arange(len(world.evaluated)) < len(world.evaluated) // 2
    touched = np.array([bool(changed & set(chunks.get(_key(query), ()))) for query in world.evaluated])
    gain = after["hit@10"] - before["hit@10"]
    results: dict[str, Any] = {"weeks": rows, "asked_share": len(asked) / len(world.articles)}
    results["changed_share"] = len(changed) / sum(map(len, chunks.values()))
    for measure in ("hit@10", "mrr@10", "ndcg@10"):
        gained = after[measure] - before[measure]
        results[f"popular_{measure}"] = [float(side[measure][popular].mean()) for side in (before, after)]
        results[f"gain_{measure}"] = _interval(gained[popular])
        results[f"gain_elsewhere_{measure}"] = _interval(gained[~popular])
    results["touched"] = {"queries": int(touched.sum()), "of": len(touched), "gain_hit@10": _interval(gain[touched])}
    results["untouched"] = {"gain_hit@10": _interval(gain[~touched])}
    print(json.dumps({name: value for name, value in results.items() if name != "weeks"}, indent=1), flush=True)
    return results


def _poisoned(world: World) -> Iterator[dict[str, Any]]:
    """Let a bad week follow, of several kinds, each from the same state; what goes live is measured and taken back."""
    week = world.wanted.weeks
    misled = ScriptedModel(world.articles, misled=True)
    kinds: list[tuple[str, Callable[[], Reader], ScriptedModel, dict[str, Any]]] = [
        ("random .4", lambda: RandomReader(0.4), misled, {"days": 7.0}),
        ("random .4, clicks unchecked", lambda: RandomReader(0.4), misled, {"days": 7.0, "check_clicks": False}),
        ("everybody clicks rank 7", lambda: Baiter(7), misled, {"days": 7.0}),
        ("half honest, half random .4", partial(_half, world.chance), misled, {"days": 7.0}),
    ]  # fmt: skip
    for kind, draw, llm, other in kinds:
        at = [world.popular[int(n)] for n in world.chance.permutation(len(world.popular))[: world.wanted.asked]]
        world.use(week, draw, at=at)
        before = world.measure()
        report = world.learn(week, llm, **other)
        [step] = report["steps"]
        row = {"kind": kind} | _told(report, step)
        if step["state"] == "promoted":
            row["effect_hit@10"] = _interval(world.measure()["hit@10"] - before["hit@10"])
            roll_back(world.client, world.name)
            world.searcher.versions.forget(world.name)
        world.forget_week(week)
        print(json.dumps(row, ensure_ascii=False), flush=True)
        yield row


def _honest(chance: np.random.Generator) -> Reader:
    """Draw a user: nine of ten look for something, one clicks by chance."""
    drawn = chance.random()
    return RandomReader(0.2) if drawn < 0.1 else NAVIGATIONAL if drawn < 0.55 else INFORMATIONAL


def _half(chance: np.random.Generator) -> Reader:
    return RandomReader(0.4) if chance.random() < 0.5 else _honest(chance)


def _told(report: Mapping[str, Any], step: Mapping[str, Any]) -> dict[str, Any]:
    read = report["feedback"]
    names = ("answers", "non_answers", "learnt_from", "held_out_queries", "clicks")
    told = {"state": step["state"], "reason": step["reason"], **{name: read[name] for name in names}}
    told |= {name: step[name] for name in ("changed", "wanted", "dropped_as_copies") if name in step}
    if "gate" in step:
        told["sets"] = [
            {name: one[name] for name in ("name", "queries", "leaked", "live", "candidate", "difference")}
            for one in step["gate"]["sets"]
        ]
    return told


def _row(week: int, values: Mapping[str, Values]) -> dict[str, Any]:
    return {"week": week} | {
        name: round(float(values[name].mean()), 4) for name in ("hit@1", "hit@10", "mrr@10", "ndcg@10")
    }


def _line(row: Mapping[str, Any]) -> str:
    return "  ".join(f"{name} {value}" for name, value in row.items() if name not in {"sets", "reason"})


def _interval(values: Values) -> dict[str, float]:
    found = confidence(values)
    return {"mean": round(found.mean, 4), "low": round(found.low, 4), "high": round(found.high, 4)}


def _key(query: JudgedQuery) -> tuple[str, str]:
    return query.gold["law"], query.gold["article"]


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "bench-results", help="folder for the JSON [bench-results]")
    parser.add_argument("--first", type=int, choices=(0, 1), default=1, help="questions an article to begin with [1]")
    parser.add_argument("--weeks", type=int, default=3, help="honest weeks [3]")
    parser.add_argument("--popular", type=int, default=300, help="articles that users ask about [300]")
    parser.add_argument("--asked", type=int, default=300, help="of them in a week [300]")
    parser.add_argument("--sessions", type=int, default=30, help="searches of each [30]")
    parser.add_argument("--regression", type=int, default=200, help="queries of the frozen set [200]")
    parser.add_argument(
        "--evaluated",
        type=int,
        default=440,
        help="queries that the gain is measured by, half of what users ask about [440]",
    )
    parser.add_argument("--max-share", type=float, default=0.1, help="of the chunks that a run may change [0.1]")
    parser.add_argument("--margin", type=float, default=Demands().margin, help="of the gate [0.02]")
    parser.add_argument(
        "--held-out", type=float, default=0.2, help="share of the questions that only the gate sees [0.2]"
    )
    parser.add_argument("--weak", action="store_true", help="begin with the question nearest to the article's words")
    parser.add_argument("--no-poison", dest="poison", action="store_false", help="leave the bad weeks out")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--vectors", help="a collection of the same texts whose vectors need not be computed again")
    return parser


if __name__ == "__main__":
    sys.exit(main())
