"""The API with its console on a free port, over a real Elasticsearch; only what computes is faked."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import contextmanager

from starlette.responses import StreamingResponse
from starlette.routing import Route

from bothways.api.app import create_app
from bothways.api.server import make_server
from bothways.core.errors import ElasticsearchUnavailableError
from bothways.core.settings import load_settings
from bothways.search.pipeline import Searcher
from tests.fakes import FixedWriter, HashEncoder, OverlapCrossEncoder, make_parts
from tests.run_node import free_port

WAITS = "停一停"
"""A chunk with this text keeps its job running until the server is let go."""


class WaitingWriter(FixedWriter):
    def __init__(self):
        super().__init__()
        self.go = threading.Event()

    def write(self, chunk):
        if WAITS in chunk.text:
            self.go.wait(60)
        return super().write(chunk)


class ScriptedAnswers:
    """Stands where the API answers questions, and streams what a test tells it to: `(event, data)` or `wait`."""

    def __init__(self):
        self.events = []
        self.asked = []
        self.go = threading.Event()
        self.left = threading.Event()

    async def answer(self, request):
        self.asked.append(await request.json())
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self):
        try:
            yield ": the first line of a stream may be a comment\n\n"
            for step in self.events:
                if step == "wait":
                    while not self.go.is_set():
                        await asyncio.sleep(0.01)
                else:
                    yield f"event: {step[0]}\ndata: {json.dumps(step[1], ensure_ascii=False)}\n\n"
        except asyncio.CancelledError:
            self.left.set()
            raise


class ConsoleServer:
    """Serves until `close`; `url` is the console's address."""

    def __init__(self, es, segmenter, cache_dir, *, down=False, **options):
        client, server = es
        self.writer = WaitingWriter()
        self.answers = ScriptedAnswers()

        def build(_):
            if down:
                raise ElasticsearchUnavailableError("No Elasticsearch answers at http://127.0.0.1:1: is it running?")
            searcher = Searcher(
                client, segmenter, HashEncoder, embedding_model="fake/hash", cross_encoder=OverlapCrossEncoder
            )
            return searcher, server

        @contextmanager
        def parts(_):
            yield make_parts((client, server), segmenter, writer=self.writer)

        self.app = create_app(load_settings(cache_dir=cache_dir, **options), build, parts)
        self.app.router.routes.insert(0, Route("/api/v1/ask", self.answers.answer, methods=["POST"]))
        port = free_port()
        self.root = f"http://127.0.0.1:{port}"
        self.url = f"{self.root}/console/"
        self._server = make_server(self.app, ending=self.app.state.ending, port=port, log_level="error")
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self._server.started:
            assert self._thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def close(self):
        self.writer.go.set()
        self.answers.go.set()
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()
