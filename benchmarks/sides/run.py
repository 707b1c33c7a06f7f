"""A side is a program of its own: a job goes in as JSON, its measurements come out as JSON."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.shared.corpus import ROOT
from bothways.core.settings import Settings
from bothways.node import find_login, resolve_url

THEIR_PYTHON = Path(sys.prefix) / "bench" / "bin" / "python"
"""Haystack's and LangChain's stores want the Elasticsearch client of version 8, hence an environment of their own (see
the Makefile)."""

READY_S = 180.0

TIMEOUT_S = 3600


class BenchmarkError(Exception):
    """A side could not do its work; the message says which and shows the end of what it wrote."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready: its process, its port, and the seconds from its start until it was ready."""

    pid: int
    port: int
    seconds: float


def run_bothways(task: str, job: Mapping[str, Any]) -> dict[str, Any]:
    """Run a task of ours (`prepare`, `index`, `search`) in a new process."""
    return run_program("benchmarks.sides.ours", task, job)


def run_program(module: str, task: str, job: Mapping[str, Any]) -> dict[str, Any]:
    """Run a task of one of our modules in a new process, so that its memory is its own."""
    return _run([sys.executable, "-m", module, task], job, {})


def run_theirs(module: str, task: str, job: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Run a task of another side's module (`haystack_side`, `langchain_side`, ...) in their environment."""
    return _run([_their_python(), "-m", f"benchmarks.sides.{module}", task], job, _for_them(settings))


def _their_python() -> str:
    if not THEIR_PYTHON.is_file():
        raise BenchmarkError(f"The environment {THEIR_PYTHON.parents[1]} is missing: `make bench` makes it.")
    return str(THEIR_PYTHON)


def _for_them(settings: Settings) -> dict[str, str]:
    """Return the environment that keeps the others off the network and lets them into the same Elasticsearch."""
    given = {"HAYSTACK_TELEMETRY_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    if settings.es_api_key:
        given["ELASTIC_API_KEY"] = settings.es_api_key.get_secret_value()
    elif settings.es_user and settings.es_password:
        given["BOTHWAYS_ES_USER"] = settings.es_user
        given["BOTHWAYS_ES_PASSWORD"] = settings.es_password.get_secret_value()
    elif (url := resolve_url(settings)) and (login := find_login(settings, url)):
        given["BOTHWAYS_ES_USER"], given["BOTHWAYS_ES_PASSWORD"] = login.user, login.password
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


@contextmanager
def served(environment: Mapping[str, str]) -> Iterator[Server]:
    """Run `bothways serve` of this checkout with the settings of this process and `environment`, until it is ready."""
    port = _free_port()
    command = [sys.executable, "-c", "from bothways.cli.main import main; main()", "serve", "--port", str(port)]
    with _running(command, port, {**environment, "PYTHONPATH": str(ROOT)}) as server:
        yield server


@contextmanager
def served_by_them(module: str, job: Mapping[str, Any], settings: Settings) -> Iterator[Server]:
    """Run another side's `serve` in their environment, until it is ready."""
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="bothways-bench-") as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps({**job, "port": port}, ensure_ascii=False), encoding="utf-8")
        command = [_their_python(), "-m", f"benchmarks.sides.{module}", "serve", str(path)]
        with _running(command, port, _for_them(settings)) as server:
            yield server


@contextmanager
def _running(command: list[str], port: int, environment: Mapping[str, str]) -> Iterator[Server]:
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_ready(process, port, output)
            yield Server(process.pid, port, time.perf_counter() - started)
        finally:
            _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, output: IO[bytes]) -> None:
    """Wait until the server has its models and reaches Elasticsearch."""
    give_up = time.monotonic() + READY_S
    told = "no answer"
    while time.monotonic() < give_up:
        if process.poll() is not None:
            output.seek(0)
            wrote = output.read().decode(errors="replace").strip()[-2000:]
            raise BenchmarkError(f"A server ended with exit code {process.returncode}:\n{wrote}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_S)
        try:
            connection.request("GET", "/health/ready")
            answer = connection.getresponse()
            told = answer.read().decode(errors="replace")
            if answer.status == http.client.OK:
                return
        except OSError as error:
            told = str(error)
        finally:
            connection.close()
        time.sleep(0.02)
    raise BenchmarkError(f"A server was not ready after {READY_S:.0f} s: {told}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a server that was started here, by its own handle."""
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
