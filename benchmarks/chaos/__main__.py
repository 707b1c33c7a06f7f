"""Kill and see: `python -m benchmarks.chaos` kills one build's job ten times and its Elasticsearch three times.

In the end exactly the right documents must be there, each once and with its questions, and no call of the language
model may have been paid twice beyond those that were in flight when something was killed. Then the alias is taken away,
and a snapshot is restored without aliases (benchmarks/chaos/aliases.py); a server dies taking an upload in, a holder's
clock is a day ahead, the disk is full, and Elasticsearch answers 429 (benchmarks/chaos/outages.py): nothing may be lost
by that. The node, the cache folder and the language model are its own: nothing of anybody else's is touched.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch

from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

import bothways.node.config
from benchmarks.chaos.aliases import CASES, Scene
from benchmarks.chaos.hostile import CASES as HOSTILE
from benchmarks.chaos.outages import CASES as OUTAGES
from benchmarks.shared.corpus import ROOT
from bothways.core.analysis import load_segmenter, segment_synonyms
from bothways.core.settings import Settings, load_settings
from bothways.models.files.resolve import resolve_model
from bothways.node import fetch_distribution, purge, status, up
from bothways.node.config import node_settings
from bothways.node.connect import connect
from bothways.node.place import find_place

CONCURRENCY = 8
QUESTIONS = 3


def main() -> int:
    """Build with interruptions; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--documents", type=int, default=1500, help="documents to index [1500]")
    parser.add_argument("--kills", type=int, default=10, help="times that the job is killed [10]")
    parser.add_argument("--node-kills", type=int, default=3, help="times that Elasticsearch is killed [3]")
    parser.add_argument("--seed", type=int, default=7, help="of the moments [7]")
    wanted = parser.parse_args()
    with _own_place() as settings, _language_model() as (url, asked, in_flight):
        corpus = write_corpus(settings.cache_dir / "corpus.jsonl", wanted.documents)
        _start_node(settings)
        environment = _environment(settings, url)
        moments = random.Random(wanted.seed)
        events = ["job"] * wanted.kills + ["node"] * wanted.node_kills
        moments.shuffle(events)
        flying = 0
        for number, event in enumerate(events, start=1):
            job = _job(corpus, environment)
            _wait_for_work(job, settings, asked)
            time.sleep(moments.uniform(0, 5))
            flying += _interrupt(event, job, settings, in_flight, asked)
            print(f"{number}. killed the {event}: {_count(settings)} chunks so far, {sum(asked.values())} calls")
        started = time.monotonic()
        code = _job(corpus, environment).wait()
        print(f"last run: exit code {code} after {time.monotonic() - started:.0f} s")
        problems = check(settings, wanted.documents, asked, flying) + ([f"exit code {code}"] if code else [])
        problems += _cases(settings, environment)
        problems += check(settings, wanted.documents, asked, flying)
    for problem in problems:
        print(f"WRONG: {problem}")
    print("failed" if problems else "nothing is lost, nothing is there twice")
    return 1 if problems else 0


def write_corpus(path: Path, documents: int) -> Path:
    """Write numbered variations of the sample's sections as JSON lines."""
    sample = ROOT / "samples" / "handbook" / "pseudo_questions.jsonl"
    texts = [json.loads(line)["text"] for line in sample.read_text(encoding="utf-8").splitlines()]
    rows = (
        {"_id": f"d{n}", "title": f"第{n}号", "text": f"第{n}号：{texts[n % len(texts)][:200]}"}
        for n in range(documents)
    )
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def check(settings: Settings, documents: int, asked: Counter[str], flying: int) -> list[str]:
    """Return what is not as it must be."""
    client = _client(settings, 60)
    client.indices.refresh(index="bothways-chaos")
    fields = {"includes": ["doc_id", "questions.text", "generation"]}
    found = [hit["_source"] for hit in scan(client, index="bothways-chaos", query={"_source": fields})]
    counted = Counter(chunk["doc_id"] for chunk in found)
    expected = {f"d{number}" for number in range(documents)}
    twice = [doc_id for doc_id, times in counted.items() if times > 1]
    without = [chunk["doc_id"] for chunk in found if len(chunk.get("questions", ())) != QUESTIONS]
    paid_again = sum(asked.values()) - len(asked)
    print(
        f"{len(found)} chunks of {documents} documents; {len(asked)} prompts, {paid_again} of them paid twice", end=" "
    )
    print(f"({flying} were in flight when something was killed)")
    problems = []
    if missing := expected - counted.keys():
        problems.append(f"{len(missing)} documents are missing, such as {min(missing)}")
    if extra := counted.keys() - expected:
        problems.append(f"{len(extra)} documents should not be there, such as {min(extra)}")
    if twice:
        problems.append(f"{len(twice)} documents are there more than once, such as {twice[0]}")
    if without:
        problems.append(f"{len(without)} chunks lack questions, such as those of {without[0]}")
    if paid_again > flying:
        problems.append(f"{paid_again} calls were paid twice, only {flying} were in flight")
    return problems


def _cases(settings: Settings, environment: dict[str, str]) -> list[str]:
    """Do what can be done to the finished collection, its server and its node; say what is not as it must be."""
    client = _client(settings, 120)
    scene = Scene(client=client, environment=environment, folder=settings.cache_dir, repository=_repository(settings))
    problems = []
    for name, case in {**CASES, **HOSTILE, **OUTAGES}.items():
        wrong = case(scene)
        print(f"{name}: {'WRONG' if wrong else 'nothing is lost'}")
        problems += [f"{name}: {one}" for one in wrong]
    return problems


def _repository(settings: Settings) -> Path:
    """Name the folder of the node's snapshots, below one that belongs to it."""
    return find_place(settings.cache_dir).node / "tmp" / "snapshots"


def _wait_for_work(job: subprocess.Popen[bytes], settings: Settings, asked: Counter[str]) -> None:
    """Return when the job has asked or indexed something that it had not before: killing it at its start is easy."""
    before = sum(asked.values()), _count(settings)
    while job.poll() is None and (sum(asked.values()), _count(settings)) == before:
        time.sleep(0.2)


def _interrupt(
    event: str,
    job: subprocess.Popen[bytes],
    settings: Settings,
    in_flight: Callable[[], int],
    asked: Counter[str],
) -> int:
    """Kill the job, or first the node under it, which it waits for; gives the calls that were in flight."""
    if job.poll() is not None:
        raise SystemExit(f"The job ended before it could be killed (exit code {job.returncode}): take more documents.")
    flying = in_flight()
    if event == "node":
        node = status(settings)
        if node is None or node.pid is None:
            raise SystemExit("The node is gone by itself.")
        os.kill(node.pid, signal.SIGKILL)
        time.sleep(5)
        _start_node(settings)
        _wait_for_work(job, settings, asked)
        if job.poll():
            raise SystemExit(f"The job did not wait for Elasticsearch (exit code {job.returncode}).")
        flying += in_flight()
    job.send_signal(signal.SIGKILL)
    job.wait()
    return flying


def _job(corpus: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-c",
        "from bothways.cli.main import main; main()",
        "index",
        str(corpus),
        "--collection",
        "chaos",
    ]
    log = (corpus.parent / "job.log").open("ab")
    return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)


def _environment(settings: Settings, url: str) -> dict[str, str]:
    own = {
        "BOTHWAYS_CACHE_DIR": settings.cache_dir,
        "BOTHWAYS_ES_PORT": settings.es_port,
        "BOTHWAYS_LLM_BASE_URL": url,
        "BOTHWAYS_LLM_MODEL": "chaos",
        "BOTHWAYS_LLM_CONCURRENCY": CONCURRENCY,
        "BOTHWAYS_QUESTIONS_PER_CHUNK": QUESTIONS,
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BOTHWAYS_")}
    return clean | {name: str(value) for name, value in own.items()}


def _start_node(settings: Settings) -> None:
    segmenter = load_segmenter(settings)

    def with_snapshots(home: Path, node: Path, port: int) -> dict[str, str | int | bool]:
        return {**node_settings(home, node, port), "path.repo": str(_repository(settings))}

    with patch.object(bothways.node.config, "node_settings", with_snapshots):
        up(settings, prepare=lambda rules: segment_synonyms(rules, segmenter), kind="local", home=_home())
    client = _client(settings, 120)
    client.cluster.health(wait_for_status="yellow", timeout="110s")


def _client(settings: Settings, timeout_s: float) -> Elasticsearch:
    own = {"es_url": f"http://127.0.0.1:{settings.es_port}", "es_timeout_s": timeout_s}
    return connect(settings.model_copy(update=own))[0]


def _home() -> Path:
    return fetch_distribution(find_place(load_settings().cache_dir).base)


def _count(settings: Settings) -> int:
    client = _client(settings, 60)
    client.indices.refresh(index="bothways-chaos", ignore_unavailable=True)
    return int(client.count(index="bothways-chaos", ignore_unavailable=True)["count"])


@contextmanager
def _own_place() -> Iterator[Settings]:
    """Return settings with a cache folder and a port of their own; the model is taken from the usual cache."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    usual = load_settings()
    resolve_model(usual.embedding_model, cache_dir=usual.cache_dir, weights="onnx")
    folder = Path(tempfile.mkdtemp(prefix="bothways-chaos-"))
    folder.chmod(0o755)
    (folder / "models").symlink_to(usual.cache_dir / "models")
    settings = load_settings(cache_dir=folder, es_port=port, es_heap="512m")
    try:
        yield settings
    finally:
        purge(settings)
        shutil.rmtree(folder)


@contextmanager
def _language_model() -> Iterator[tuple[str, Counter[str], Callable[[], int]]]:
    """Serve a language model that answers every prompt: gives its address, calls by prompt, and those in flight."""
    asked: Counter[str] = Counter()
    lock = threading.Lock()
    busy = {"calls": 0}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            prompt = body["messages"][0]["content"]
            with lock:
                asked[prompt] += 1
                busy["calls"] += 1
                number = len(asked)
            time.sleep(0.1)
            questions = [f"{number}号规定{what}" for what in ("讲的是什么事情", "谁需要遵守啊", "从哪天开始算数呢")]
            text = json.dumps({"questions": questions}, ensure_ascii=False)
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            answer = json.dumps(
                {"id": "x", "object": "chat.completion", "created": 0, "model": "chaos", "choices": [choice]}
            )
            try:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer.encode())))
                self.end_headers()
                self.wfile.write(answer.encode())
            except ConnectionError:
                self.close_connection = True  # who asked was killed
            finally:
                time.sleep(0.05)  # an answer that is not on the asker's disk yet is still in flight
                with lock:
                    busy["calls"] -= 1

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 – the base class calls it so
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of connections whose other end was killed; anything else is told."""
            if not isinstance(sys.exc_info()[1], ConnectionError):
                super().handle_error(request, client_address)  # type: ignore[arg-type]

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", asked, lambda: busy["calls"]
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    sys.exit(main())
