"""The facts without which a number says nothing: processor, memory, load, versions."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from bothways.core.elastic.client import Server
from bothways.core.settings import Settings

PACKAGES = ("bothways", "elasticsearch", "onnxruntime", "sentence-transformers", "torch", "tokenizers", "fastapi")


def machine_facts(server: Server, settings: Settings) -> dict[str, Any]:
    """Describe the machine, the node and the installed packages at this moment."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "processor": _processor(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "elasticsearch": f"{server.version} ({server.licence})",
        "embedding_model": settings.embedding_model,
        "model_backend": settings.model_backend,
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def one_line(facts: dict[str, Any]) -> str:
    """Say the most of it in a line."""
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gb']} GB, load {facts['load_average'][0]} at "
        f"the start; Python {facts['python']}, Elasticsearch {facts['elasticsearch']}, {facts['embedding_model']} "
        f"({facts['model_backend']})"
    )


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
