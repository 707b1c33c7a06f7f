"""A side is a program of its own: a job goes in as JSON, its measurements come out as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.corpus import ROOT
from core.settings import Settings

HAYSTACK_PYTHON = Path(sys.prefix) / "bench" / "bin" / "python"
"""Haystack's store needs the Elasticsearch client of version 8, hence an environment of its own (see the Makefile)."""

TIMEOUT_S = 3600


class BenchmarkError(Exception):
    """A side could not do its work; the message says which and shows the end of what it wrote."""


def run_bothways(task: str, job: Mapping[str, Any]) -> dict[str, Any]:
    """Run a task of ours (`prepare`, `index`, `search`) in a new process."""
    return run_program("benchmarks.bothways_side", task, job)


def run_program(module: str, task: str, job: Mapping[str, Any]) -> dict[str, Any]:
    """Run a task of one of our modules in a new process, so that its memory is its own."""
    return _run([sys.executable, "-m", module, task], job, {})


def run_haystack(task: str, job: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Run Haystack's side of a task (`index`, `search`) in its own environment."""
    if not HAYSTACK_PYTHON.is_file():
        raise BenchmarkError(f"Haystack's environment {HAYSTACK_PYTHON.parents[1]} is missing: `make bench` makes it.")
    return _run([str(HAYSTACK_PYTHON), "-m", "benchmarks.haystack_side", task], job, _for_haystack(settings))


def _for_haystack(settings: Settings) -> dict[str, str]:
    """Give the environment that keeps Haystack off the network and lets it into the same Elasticsearch."""
    given = {"HAYSTACK_TELEMETRY_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    if settings.es_api_key:
        given["ELASTIC_API_KEY"] = settings.es_api_key.get_secret_value()
    elif settings.es_user and settings.es_password:
        given["BOTHWAYS_ES_USER"] = settings.es_user
        given["BOTHWAYS_ES_PASSWORD"] = settings.es_password.get_secret_value()
    if settings.es_ca_certs:
        given["BOTHWAYS_ES_CA_CERTS"] = str(settings.es_ca_certs)
    return given


def _run(command: list[str], job: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="bothways-bench-") as folder:
        job_file, result_file, log_file = (Path(folder) / name for name in ("job.json", "result.json", "log.txt"))
        job_file.write_text(json.dumps(job, ensure_ascii=False), encoding="utf-8")
        with log_file.open("wb") as output:
            done = subprocess.run(
                [*command, str(job_file), str(result_file)],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=TIMEOUT_S,
                check=False,
            )
        if done.returncode != 0 or not result_file.is_file():
            told = log_file.read_text(encoding="utf-8", errors="replace").strip()[-2000:]
            raise BenchmarkError(f"`{' '.join(command[1:])}` ended with exit code {done.returncode}:\n{told}")
        result: dict[str, Any] = json.loads(result_file.read_text(encoding="utf-8"))
        return result


def serve_side(port: int) -> subprocess.Popen[bytes]:
    """Start `bothways serve` as anybody would, with the settings of this process."""
    command = [str(Path(sys.executable).parent / "bothways"), "serve", "--port", str(port)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server that `serve_side` started, by its own handle."""
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
