"""From measurements to what people read: tables on stdout, JSON in a folder, and whether each target is met."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: we, what we are compared with, and a `ratio` that above 1 is always in our favour."""

    name: str
    bothways: float
    other: float | None = None
    ratio: float | None = None
    target: Target | None = None


def row_of(name: str, bothways: float, other: float) -> Row:
    """Make a row of something of which less is better; a side that is not known (0) gives no ratio."""
    return Row(name, bothways, other, other / bothways if bothways and other else None)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark: what each side did, the table, the counts, every single measurement, and who the other side is."""

    name: str
    about: str
    rows: tuple[Row, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)
    other: str = "Haystack"

    @property
    def targets(self) -> list[Target]:
        """The targets among the rows."""
        return [row.target for row in self.rows if row.target]


def table(rows: Sequence[Row], other: str = "Haystack") -> str:
    """Write rows as a Markdown table whose columns line up."""
    cells = [("", "Bothways", other, "ratio", "target")]
    cells += [
        (
            row.name,
            number(row.bothways),
            number(row.other),
            "" if row.ratio is None else f"{row.ratio:.2f} ×",
            "" if row.target is None else f"{row.target.bound} {'met' if row.target.met else 'NOT MET'}",
        )
        for row in rows
    ]
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
    return f"{heading}\n\n{table(benchmark.rows, benchmark.other)}\n\n{benchmark.about}\n\nAll measurements: {path}"


def write_json(benchmark: Benchmark, machine: Mapping[str, Any], folder: Path) -> Path:
    """Write all of a benchmark, with the machine it ran on, to `{folder}/{name}.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{benchmark.name}.json"
    body = {
        "benchmark": benchmark.name,
        "about": benchmark.about.splitlines(),
        "machine": dict(machine),
        "facts": dict(benchmark.facts),
        "table": [
            {"name": row.name.strip(), "bothways": row.bothways, benchmark.other.lower(): row.other, "ratio": row.ratio}
            for row in benchmark.rows
        ],
        "targets": [{"name": t.name, "value": t.value, "bound": t.bound, "met": t.met} for t in benchmark.targets],
        "raw": dict(benchmark.raw),
    }
    path.write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return path
