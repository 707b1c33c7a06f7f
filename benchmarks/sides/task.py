"""What a side's program does around its task: the standard library only, since both environments import it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.shared.measure import peak_rss_mb

Task = Callable[[dict[str, Any]], dict[str, Any]]
"""A job as it was given, to the measurements it made."""


def run_task(tasks: Mapping[str, Task]) -> None:
    """Run the task that the command line names, from its job file to its result file, and add the peak memory."""
    name, job_file, result_file = sys.argv[1:]
    result = tasks[name](json.loads(Path(job_file).read_text(encoding="utf-8")))
    result["peak_rss_mb"] = peak_rss_mb()
    Path(result_file).write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
