"""Waiting in tests for the work of another thread or process."""

from __future__ import annotations

import time


def until(condition, within_s=120.0):
    """Return the first true answer of `condition`, which is asked again and again; fail after `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return answer
