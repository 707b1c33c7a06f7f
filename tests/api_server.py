"""The REST API of a test behind a real port, with the fake encoder; a language model that streams what it is told."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager

from bothways.api.app import create_app
from bothways.api.server import make_server
from bothways.core.settings import load_settings
from bothways.search.pipeline import Searcher
from tests.fakes import FixedWriter, HashEncoder, make_parts
from tests.llm_server import Streamed


class ApiServer:
    """Serves until `close`. `app` is the application behind `url`."""

    def __init__(self, es, segmenter, **options):
        client, server = es

        @contextmanager
        def parts(_):
            yield make_parts((client, server), segmenter, writer=FixedWriter())

        def build(_):
            return Searcher(client, segmenter, HashEncoder, embedding_model="fake/hash"), server

        self.app = create_app(load_settings(**options), build, parts)
        self.app.state.uploads._again_after_s = 0.05
        self._server = make_server(self.app, ending=self.app.state.ending, host="127.0.0.1", port=0, log_level="error")
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._started.wait(20)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    def _run(self):
        async def serve():
            serving = asyncio.create_task(self._server.serve())
            while not self._server.started and not serving.done():
                await asyncio.sleep(0.01)
            self._started.set()
            await serving

        asyncio.run(serve())

    def close(self):
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


def says(text):
    """A step of `Scripted`: the text, character by character where a stream is asked for."""
    return Streamed(tuple(text))
