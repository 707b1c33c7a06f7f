"""docs/reference/benchmarks.md: every benchmark with its command, from its module's docstring."""

from __future__ import annotations

import ast
import re
from pathlib import Path

INTRODUCTION = """# Benchmarks

Speed and memory are measured side by side with what one would use instead, as ratios within one run. `make bench` runs
the comparison with Haystack and LangChain; `make bench BENCH="--only search,serve"` runs a part of it. The others are
programs of their own; each prints its options with `--help`. Results: [what it brings](../decisions/what-it-brings.md).
"""

_COMMAND = re.compile(r"python -m (benchmarks[\w.]*)")


def benchmarks_page(folder: Path) -> str:
    """Return the page as Markdown: the modules below `folder` whose docstring names their command."""
    sections = []
    for file in sorted(folder.rglob("*.py")):
        module = ".".join(file.relative_to(folder.parent).with_suffix("").parts).removesuffix(".__main__")
        about = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        if module in _COMMAND.findall(about):
            sections.append(f"## {module}\n\n{about}\n")
    return "\n".join([INTRODUCTION, *sections])
