"""What a slow language model costs a search: nothing beyond its deadline, and after some searches nothing at all.

    python -m benchmarks.search.slow_llm --collection law --queries FILE

FILE is JSON lines with `query` or `text`. A real endpoint that takes five seconds stands in for the model. Each
question is searched by `hybrid` and by `hybrid_q2d`, in turns; the excess is the time of the second less the deadline
and the time of the first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.shared.machine import machine_facts, one_line
from benchmarks.shared.measure import percentile
from bothways.core.analysis import load_segmenter
from bothways.core.machine.logs import configure_logs
from bothways.core.results import SearchResult
from bothways.core.settings import Settings, load_settings
from bothways.models.embed.encoder import load_encoder
from bothways.models.llm.answer_cache import AnswerCache
from bothways.models.llm.endpoint import EndpointModel
from bothways.node.connect import connect
from bothways.search.options import SearchOptions
from bothways.search.pipeline import Searcher
from bothways.search.query.rewrite import PATIENCE, Query2Doc

LIMIT_MS = 50.0
"""What a search may take beyond its deadline and its plain time."""


@contextmanager
def slow_endpoint(seconds: float) -> Iterator[str]:
    """Serve `/chat/completions` on a free port, each answer after so many seconds; gives the base URL."""
    ending = threading.Event()
    answer = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "段落。"}}]}
    data = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "slow", **answer}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if ending.wait(seconds):
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        ending.set()
        server.shutdown()
        server.server_close()


def time_ms(searcher: Searcher, question: str, collection: str, options: SearchOptions) -> tuple[float, SearchResult]:
    """Search once; gives the milliseconds that it took, and the result."""
    started = time.perf_counter()
    result = searcher.search(question, collection, options)
    return 1000 * (time.perf_counter() - started), result


def row(name: str, values: list[float]) -> str:
    """Make a line of the table: median, 95th percentile, most, in ms."""
    return f"| {name} | {percentile(values, 50):.1f} | {percentile(values, 95):.1f} | {max(values):.1f} |"


def read_questions(path: Path, n: int) -> list[str]:
    """Read up to `n` questions."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [str(one.get("query") or one["text"]) for one in rows][:n]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--collection", required=True)
    parser.add_argument("--queries", type=Path, required=True)
    parser.add_argument("--n", type=int, default=30)
    parser.add_argument("--llm-seconds", type=float, default=5.0)
    parser.add_argument("--deadline-ms", type=float, default=300.0)
    args = parser.parse_args()
    configure_logs("error")
    questions = read_questions(args.queries, args.n)
    with slow_endpoint(args.llm_seconds) as url, tempfile.TemporaryDirectory() as folder:
        report(load_settings(), url, Path(folder), questions, args)


def report(settings: Settings, url: str, folder: Path, questions: list[str], args: argparse.Namespace) -> None:
    """Search every question plainly and with a rewriter that waits, then with one that has lost its patience."""
    client, server = connect(settings)
    print(one_line(machine_facts(server, settings)))
    encoder, segmenter = load_encoder(settings), load_segmenter(settings)
    model = EndpointModel(url, model="slow")

    def searcher(rewriter: Query2Doc) -> Searcher:
        made = Searcher(
            client, segmenter, lambda: encoder, embedding_model=settings.embedding_model, rewriter=lambda: rewriter
        )
        made.warm_up()
        return made

    # Many at once, since what was given up goes on; a fresh breaker a question, so that each is waited for.
    fresh = [
        Query2Doc(model, AnswerCache(folder / f"{number}.sqlite"), concurrency=99) for number in range(len(questions))
    ]
    options = settings.search.replace(strategy="hybrid", rewrite_deadline_ms=args.deadline_ms)
    rewritten = options.replace(strategy="hybrid_q2d")
    plain, waited, excess, stage = [], [], [], []
    for question, rewriter in zip(questions, fresh, strict=True):
        own = searcher(rewriter)
        time_ms(own, question, args.collection, options)
        before, _ = time_ms(own, question, args.collection, options)
        with_llm, result = time_ms(own, question, args.collection, rewritten)
        after, _ = time_ms(own, question, args.collection, options)
        if "query2doc" not in result.degraded:
            raise SystemExit("The language model answered in time: make it slower than the deadline.")
        plain += [before, after]
        waited.append(with_llm)
        excess.append(with_llm - args.deadline_ms - statistics.mean((before, after)))
        stage.append(result.timings_ms["rewrite"] - args.deadline_ms)
    patient = searcher(Query2Doc(model, AnswerCache(folder / "patient.sqlite"), concurrency=99))
    spared = [time_ms(patient, question, args.collection, rewritten)[0] for question in questions][PATIENCE:]
    print(f"{len(questions)} questions, language model {args.llm_seconds:g} s, deadline {args.deadline_ms:g} ms\n")
    print("| ms | p50 | p95 | most |\n|---|---|---|---|")
    print(row("hybrid", plain))
    print(row("hybrid_q2d, waits and gives up", waited))
    print(row(f"excess over deadline and plain (limit {LIMIT_MS:g})", excess))
    print(row("of it in the rewriting stage", stage))
    print(row(f"hybrid_q2d after {PATIENCE} late answers", spared))
    model.close()


if __name__ == "__main__":
    main()
