"""Many streams at once from a real server, half of them cut by their clients: nothing stays behind.

The API runs under uvicorn with an event loop of its own in a thread, so that its tasks can be counted.
"""

from __future__ import annotations

import asyncio
import json
import threading
import uuid

import httpx
import pytest
import uvicorn

from bothways.api.answering import ABANDONED, RUNNING
from bothways.api.app import create_app
from bothways.core.settings import load_settings
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from bothways.search.pipeline import Searcher
from tests.fakes import HashEncoder, make_parts
from tests.llm_server import Scripted, Streamed
from tests.waiting import until

pytestmark = pytest.mark.elasticsearch

PIECES = ("提前三天", "[1]", "。", "另外", "没有", "规定")
ENDLESS = "说个没完"


@pytest.fixture(scope="module")
def shelf(es, segmenter, tmp_path_factory):
    name = f"test-{uuid.uuid4().hex}"
    path = tmp_path_factory.mktemp("docs")
    (path / "leave.txt").write_text("员工请假应当提前三天提交申请。", encoding="utf-8")
    assert index_path(
        path,
        JobOptions(collection=name),
        make_parts(es, segmenter),
    ).succeeded
    yield name
    es[0].indices.delete(index=f"bothways-{name}-v1")


@pytest.fixture
def llm():
    scripted = Scripted()
    scripted.server.request_queue_size = 256
    scripted.server.socket.listen(256)
    yield scripted
    scripted.close()


class Served:
    """An application under uvicorn, in a thread."""

    def __init__(self, app):
        self.server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="on"))
        self.loop = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        until(lambda: self.server.started)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    def _run(self):
        async def serve():
            self.loop = asyncio.get_running_loop()
            await self.server.serve()

        asyncio.run(serve())

    def tasks(self):
        """What the loop works on, by name; sse-starlette's one watcher of the process's end is always there."""

        async def count():
            # The loop closes generators that were left half-read in tasks of its own, whose coroutines have no name.
            coroutines = [task.get_coro() for task in asyncio.all_tasks() - {asyncio.current_task()}]
            names = [one.__qualname__ for one in coroutines if hasattr(one, "__qualname__")]
            return sorted(name for name in names if name != "_shutdown_watcher")

        return asyncio.run_coroutine_threadsafe(count(), self.loop).result(10)

    def connections(self):
        """Connections of clients that are open."""
        return len(self.server.server_state.connections)

    def close(self):
        self.server.should_exit = True
        self.thread.join()


@pytest.fixture
def served(es, segmenter, llm):
    client, server = es

    def build(_):
        return Searcher(client, segmenter, HashEncoder, embedding_model="fake/hash"), server

    running = Served(create_app(load_settings(llm_base_url=llm.url, llm_model="m", llm_timeout_s=120), build))
    yield running
    running.close()


def talkative(request):
    """Answers in half a second, or, where the question says so, for as long as somebody listens."""
    endless = ENDLESS in request["messages"][0]["content"]
    return Streamed(("又",) * 100_000 if endless else PIECES, gap_s=0.1)


def asked(shelf, **more):
    return {"query": "员工请假提前几天", "collection": shelf, "strategy": "bm25", "stream": True} | more


async def read(http, url, body, *, leave_after=None):
    """Read a stream to its end, or leave after so many events; gives the events' names and the last one's data."""
    names, data = [], ""
    async with http.stream("POST", f"{url}/api/v1/ask", json=body) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                names.append(line.removeprefix("event: "))
                if len(names) == leave_after:
                    break
            elif line.startswith("data: "):
                data = line.removeprefix("data: ")
    return names, data


def test_a_hundred_streams_of_which_half_are_cut(served, llm, shelf):
    llm.script = [talkative]

    async def scene(count):
        async with httpx.AsyncClient(timeout=3000, limits=httpx.Limits(max_connections=None)) as http:
            cut = asked(shelf, query=f"员工请假提前几天，{ENDLESS}")
            work = (
                read(http, served.url, cut if at % 2 else asked(shelf), leave_after=1 + at % 7 if at % 2 else None)
                for at in range(count)
            )
            return await asyncio.gather(*work)

    asyncio.run(scene(2))  # what is made at the first use is there now
    until(lambda: llm.writing == 0 and served.connections() == 0)
    before, cut, abandoned = served.tasks(), llm.cut, ABANDONED._value.get()
    found = asyncio.run(scene(100))
    assert all(names[-1] == "done" for names, _ in found[::2])
    assert {json.loads(data)["status"] for _, data in found[::2]} == {"answered"}
    assert {json.loads(data)["answer"] for _, data in found[::2]} == {"".join(PIECES)}
    until(lambda: llm.writing == 0)
    assert llm.cut - cut == 50
    assert len(llm.requests) == 102
    until(lambda: served.connections() == 0)
    until(lambda: served.tasks() == before)
    assert ABANDONED._value.get() - abandoned == 50
    assert RUNNING._value.get() == 0


def test_the_first_words_do_not_wait_for_the_next(served, llm, shelf):
    """The model writes its second piece only when the client has read the first."""
    read_first = threading.Event()

    class Gated(Streamed):
        def rows(self):
            yield "提前三天", None
            assert read_first.wait(30)
            yield "[1]", None
            yield None, "stop"

    llm.script = [Gated(())]
    with httpx.stream("POST", f"{served.url}/api/v1/ask", json=asked(shelf), timeout=300) as answer:
        lines = answer.iter_lines()
        assert [next(lines), next(lines)] == ["event: delta", 'data: {"text":"提前三天"}']
        read_first.set()
        rest = [line for line in lines if line]
    assert rest[0:2] == ["event: delta", 'data: {"text":"[1]"}']
    assert rest[2] == "event: done"


def test_who_leaves_a_whole_answer_ends_the_models_work_too(served, llm, shelf):
    begun = threading.Event()
    llm.script = [lambda request: begun.set() or "hang"]
    abandoned = ABANDONED._value.get()

    async def leave():
        async with httpx.AsyncClient(timeout=300) as http:
            asking = asyncio.create_task(http.post(f"{served.url}/api/v1/ask", json=asked(shelf, stream=False)))
            await asyncio.to_thread(begun.wait, 30)
            asking.cancel()
            await asyncio.wait([asking])

    before = served.tasks()
    asyncio.run(leave())
    until(lambda: ABANDONED._value.get() == abandoned + 1)
    until(lambda: served.tasks() == before)
    assert RUNNING._value.get() == 0


def test_more_than_the_server_takes_on_is_refused_before_it_begins(es, segmenter, llm, shelf):
    client, server = es

    def build(_):
        return Searcher(client, segmenter, HashEncoder, embedding_model="fake/hash"), server

    llm.script = [talkative]
    chosen = load_settings(llm_base_url=llm.url, llm_model="m", ask_concurrency=1, ask_queue=0)
    served = Served(create_app(chosen, build))
    try:
        body = asked(shelf, query=f"员工请假提前几天，{ENDLESS}")
        with httpx.stream("POST", f"{served.url}/api/v1/ask", json=body, timeout=300) as answer:
            lines = answer.iter_lines()  # kept, since the connection ends with it
            assert next(lines) == "event: delta"
            refused = httpx.post(f"{served.url}/ask", json=asked(shelf), timeout=300)
        assert (refused.status_code, refused.headers["retry-after"].isdigit()) == (503, True)
        assert "answers go on" in refused.json()["detail"]
        until(lambda: RUNNING._value.get() == 0)
        assert httpx.post(f"{served.url}/api/v1/ask", json=asked(shelf, stream=False), timeout=300).status_code == 200
    finally:
        served.close()
