"""From measurements to what people read: tables on stdout, JSON in a folder, and whether each target is met."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A value and the bound it has to keep, `at_least` or `at_most`."""

    name: str
    value: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool:
        """Whether the value keeps its bound."""
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    @property
    def bound(self) -> str:
        """The bound as it is written in the table."""
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.name} is {self.value:.2f}, target {self.bound}: {'met' if self.met else 'NOT MET'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table: we, what we are compared with, and a `ratio` that above 1 is always in our favour.

    `third` is a further side that is only shown.
    """

    name: str
    bothways: float
    other: float | None = None
    ratio: float | None = None
    target: Target | None = None
    third: float | None = None


def row_of(name: str, bothways: float, other: float) -> Row:
    """Make a row of something of which less is better; a side that is not known (0) gives no ratio."""
    return Row(name=name, bothways=bothways, other=other, ratio=other / bothways if bothways and other else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark: the results of each side, the table, the counts, all measurements, and the other sides' names."""

    name: str
    about: str
    rows: tuple[Row, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)
    other: str = "Haystack"
    third: str = ""

    @property
    def targets(self) -> list[Target]:
        """The targets among the rows."""
        return [row.target for row in self.rows if row.target]


def table(rows: Sequence[Row], other: str = "Haystack", third: str = "") -> str:
    """Write rows as a Markdown table whose columns line up."""
    cells = [["", "Bothways", other, *([third] if third else []), "ratio", "target"]]
    cells += [
        [
            row.name,
            number(row.bothways),
            number(row.other),
            *([number(row.third)] if third else []),
            "" if row.ratio is None else f"{row.ratio:.2f} ×",
            "" if row.target is None else f"{row.target.bound} {'met' if row.target.met else 'NOT MET'}",
        ]
        for row in rows
    ]
    return _markdown(cells)


def table_of_targets(targets: Sequence[Target]) -> str:
    """Write all targets as one Markdown table: what was wanted, what was measured, and whether it is met."""
    cells = [["target", "bound", "measured", ""]]
    cells += [[each.name, each.bound, number(each.value), "met" if each.met else "NOT MET"] for each in targets]
    return _markdown(cells)


def _markdown(cells: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = ["| " + " | ".join(_aligned(line, widths)) + " |" for line in cells]
    rule = "|" + "|".join("-" * (width + 1) + ("-" if not i else ":") for i, width in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = zip(line, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]


def number(value: float | None) -> str:
    """Write a number with three digits that mean something; nothing for None."""
    if value is None:
        return ""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def show(benchmark: Benchmark, path: Path) -> str:
    """Write what is printed of a benchmark: its counts, its table, what was measured how, and where the rest is."""
    facts = ", ".join(f"{value:,} {name}" for name, value in benchmark.facts.items() if isinstance(value, int))
    heading = f"\n## {benchmark.name.capitalize()}" + (f" ({facts})" if facts else "")
    rows = table(benchmark.rows, benchmark.other, benchmark.third)
    return f"{heading}\n\n{rows}\n\n{benchmark.about}\n\nAll measurements: {path}"


def write_json(benchmark: Benchmark, machine: Mapping[str, Any], folder: Path) -> Path:
    """Write all of a benchmark, with the machine it ran on, to `{folder}/{name}.json`."""
    body = {**_summary(benchmark), "machine": dict(machine), "raw": dict(benchmark.raw)}
    return _write(folder / f"{benchmark.name}.json", body)


def write_report(benchmarks: Sequence[Benchmark], machine: Mapping[str, Any], folder: Path) -> None:
    """Write `report.json` and `report.md`: the machine, all targets and all tables of one run."""
    targets = [target for benchmark in benchmarks for target in benchmark.targets]
    summaries = [_summary(benchmark) for benchmark in benchmarks]
    _write(folder / "report.json", {"machine": dict(machine), "benchmarks": summaries})
    parts = [
        "# Benchmarks",
        *(f"- {name}: {value}" for name, value in machine.items()),
        "",
        table_of_targets(targets),
        *(show(benchmark, folder / f"{benchmark.name}.json") for benchmark in benchmarks),
    ]
    (folder / "report.md").write_text("\n".join(parts) + "\n", encoding="utf-8")


def _summary(benchmark: Benchmark) -> dict[str, Any]:
    return {
        "benchmark": benchmark.name,
        "about": benchmark.about.splitlines(),
        "facts": dict(benchmark.facts),
        "table": [_cells(row, benchmark) for row in benchmark.rows],
        "targets": [{"name": t.name, "value": t.value, "bound": t.bound, "met": t.met} for t in benchmark.targets],
    }


def _cells(row: Row, benchmark: Benchmark) -> dict[str, Any]:
    cells = {"name": row.name.strip(), "bothways": row.bothways, benchmark.other.lower(): row.other}
    return {**cells, **({benchmark.third.lower(): row.third} if benchmark.third else {}), "ratio": row.ratio}


def _write(path: Path, body: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return path
