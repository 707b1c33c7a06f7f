"""Seconds, percentiles and memory: the standard library only, since both environments import it."""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from pathlib import Path


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of the values do not exceed, linear between two neighbours; needs one value."""
    if not values:
        raise ValueError("There is no percentile of nothing.")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def peak_rss_mb(pid: int | None = None) -> float:
    """Return the most memory that a process (this one, unless `pid` says another) has held so far, in MB (10^6 bytes).

    Linux keeps it for each program (`VmHWM`); elsewhere it is known for this process only, and 0.0 means unknown.
    `getrusage` comes second, because on Linux it also counts what the starting process held before `exec`.
    """
    try:
        status = Path(f"/proc/{pid or 'self'}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        if pid is not None:
            return 0.0
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(line.split()[1]) * 1024 / 1e6
