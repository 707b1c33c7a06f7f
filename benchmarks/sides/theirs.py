"""What the sides of others share: rows to index, timed questions, an endpoint. Runs in their environment."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

Found = list[dict[str, Any]]
"""The `meta` of each hit, best first."""
Ask = Callable[[str], Found]


def read_rows(folder: str, *, questions: bool) -> tuple[list[dict[str, Any]], list[list[float]]]:
    """Read the rows that `benchmarks.search.copied` wrote, and their vectors; without `questions` the chunks alone."""
    lines = (Path(folder) / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    vectors = np.load(Path(folder) / "vectors.npy")
    kept = [place for place, row in enumerate(rows) if questions or row["meta"]["tag"] == "chunk"]
    return [rows[place] for place in kept], vectors[kept].tolist()


def elasticsearch_options() -> dict[str, Any]:
    """Return what the client needs beside the address, as `benchmarks.sides.run` hands it over."""
    options: dict[str, Any] = {"request_timeout": 60}
    if "BOTHWAYS_ES_USER" in os.environ:
        options["basic_auth"] = (os.environ["BOTHWAYS_ES_USER"], os.environ["BOTHWAYS_ES_PASSWORD"])
    if "ELASTIC_API_KEY" in os.environ:
        options["api_key"] = os.environ["ELASTIC_API_KEY"]
    if "BOTHWAYS_ES_CA_CERTS" in os.environ:
        options["ca_certs"] = os.environ["BOTHWAYS_ES_CA_CERTS"]
    return options


def ask_all(ask: Ask, queries: list[str], *, timed: int, passes: int) -> dict[str, Any]:
    """Ask every question once for its ranking, then the first `timed` ones `passes` times for their ms."""
    rankings = {}
    for query in queries:
        found = ask(query)
        if not found:
            raise RuntimeError(f"Nothing is found for {query!r}.")
        rankings[query] = [meta["doc_id"] for meta in found]
    times = []
    for _ in range(passes):
        for query in queries[:timed]:
            started = time.perf_counter()
            ask(query)
            times.append(1000 * (time.perf_counter() - started))
    return {"rankings": rankings, "ms": times}


def serve(asks: dict[str, Ask], port: int, *, one_at_a_time: bool) -> None:
    """Serve each way of asking at `POST /{name}` from FastAPI's thread pool, as such pipelines are served."""
    import uvicorn
    from fastapi import FastAPI

    app = FastAPI()
    turn: Any = threading.Lock() if one_at_a_time else nullcontext()

    def endpoint(ask: Ask) -> Callable[[dict[str, str]], Found]:
        def answer(body: dict[str, str]) -> Found:
            with turn:
                return ask(body["query"])

        return answer

    for name, ask in asks.items():
        app.post(f"/{name}")(endpoint(ask))
    app.get("/health/ready")(lambda: "ready")
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)
