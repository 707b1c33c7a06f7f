"""Several clients at once against one server, in a process of its own: the standard library only."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from benchmarks.sides.task import run_task


def load(job: dict[str, Any]) -> dict[str, Any]:
    """Let `clients` send `requests` bodies in turn to `path` of `port`, each over a connection that it keeps.

    A first round of one body a client warms up and is not counted. An answer that is not a 200 or has no hit is an
    error; `degraded` counts those that left a stage out.
    """
    _round(job, job["bodies"][: job["clients"]])
    bodies = [job["bodies"][number % len(job["bodies"])] for number in range(job["requests"])]
    return _round(job, bodies)


def _round(job: dict[str, Any], bodies: list[dict[str, Any]]) -> dict[str, Any]:
    waiting: Iterator[dict[str, Any]] = iter(bodies)
    taking = threading.Lock()
    times: list[float] = []
    errors: list[str] = []
    degraded: list[bool] = []

    def client() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", job["port"], timeout=300)) as connection:
            while True:
                with taking:
                    body = next(waiting, None)
                if body is None:
                    return
                ask(connection, body)

    def ask(connection: http.client.HTTPConnection, body: dict[str, Any]) -> None:
        started = time.perf_counter()
        try:
            connection.request("POST", job["path"], json.dumps(body), {"content-type": "application/json"})
            answer = connection.getresponse()
            read = answer.read()
        except (OSError, http.client.HTTPException) as error:
            errors.append(f"{type(error).__name__}: {error}")
            connection.close()  # the next request opens it again
            return
        times.append(1000 * (time.perf_counter() - started))
        hits, left_out = _hits(read) if answer.status == http.client.OK else ([], [])
        degraded.append(bool(left_out))
        if not hits:
            errors.append(f"{answer.status}: {read[:200]!r}")

    threads = [threading.Thread(target=client) for _ in range(job["clients"])]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"seconds": time.perf_counter() - started, "ms": times, "errors": errors, "degraded": sum(degraded)}


def _hits(read: bytes) -> tuple[list[Any], list[str]]:
    """Take the hits, and what was left out, of an answer of ours (an object) or theirs (a list)."""
    answer = json.loads(read)
    return (answer["hits"], answer["degraded"]) if isinstance(answer, dict) else (answer, [])


if __name__ == "__main__":
    run_task({"load": load})
