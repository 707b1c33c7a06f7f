"""Answers in pieces, from a real server: what is shown, what fails, and that whoever leaves leaves nothing behind."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import pytest

from bothways.core.errors import LLMError, LLMUnavailableError
from bothways.core.settings import load_settings
from bothways.models.llm.chat import load_chat
from bothways.models.llm.chat_endpoint import ChatEndpoint, Thoughts
from tests.llm_server import Scripted, Streamed, completion
from tests.run_node import free_port

BUSY = (503, {"error": {"message": "overloaded"}})


@pytest.fixture
def server():
    scripted = Scripted()
    yield scripted
    scripted.close()


def run(server, use, *, base_url=None, **options):
    """Run a coroutine function with an endpoint of the server, and close it."""

    async def scene():
        chat = ChatEndpoint(base_url or server.url, **{"model": "m", "first_wait_s": 0.01} | options)
        try:
            return await use(chat)
        finally:
            await chat.aclose()

    return asyncio.run(scene())


async def pieces_of(chat, timeout_s=30.0):
    async with aclosing(chat.stream("问", timeout_s=timeout_s)) as stream:
        return [piece async for piece in stream]


def test_pieces_as_they_come_and_what_was_asked(server):
    server.script = [Streamed(("一", "", "二"))]
    assert run(server, pieces_of, api_key="hush") == ["一", "二"]
    assert server.requests == [{"messages": [{"role": "user", "content": "问"}], "model": "m", "stream": True}]
    assert server.keys == ["Bearer hush"]


def test_the_first_listed_model_is_asked_where_none_is_set(server):
    server.script = [Streamed(("一",))]
    run(server, pieces_of, model=None)
    assert server.requests[0]["model"] == "first"


def test_a_whole_answer(server):
    server.script = [(200, completion("<think>hm</think> 答 "))]
    assert run(server, lambda chat: chat.complete("问", timeout_s=30)) == "答"


def test_an_endpoint_that_does_not_stream_is_understood(server):
    server.script = [(200, completion("整个答案"))]
    assert run(server, pieces_of) == ["整个答案"]


def test_what_passes_is_tried_again_until_the_stream_begins(server):
    server.script = [BUSY, BUSY, Streamed(("答",))]
    assert run(server, pieces_of) == ["答"]
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        (BUSY, LLMUnavailableError, "after 2 attempts"),
        ((401, {"error": {"message": "no"}}), LLMUnavailableError, "BOTHWAYS_LLM_API_KEY"),
        ((400, {"error": {"message": "too long"}}), LLMError, "too long"),
        ((200, {"what": "is this"}), LLMUnavailableError, "not a chat completion"),
        ((200, b"data: {{{\n\n", {"Content-Type": "text/event-stream"}), LLMUnavailableError, "not a chat completion"),
        ((200, b"data: [DONE]\n\n", {"Content-Type": "text/event-stream"}), LLMError, "empty answer"),
        (
            (200, b'data: {"error": {"message": "out of memory"}}\n\n', {"Content-Type": "text/event-stream"}),
            LLMUnavailableError,
            "out of memory",
        ),
        (Streamed(()), LLMError, "empty answer"),
        (Streamed(("  ", "\n")), LLMError, "empty answer"),
        (Streamed(("<think>", "lost in thought")), LLMError, "empty answer"),
        ("hang", LLMUnavailableError, "in time|within"),
    ],
)
def test_what_is_no_answer_is_an_error_that_says_so(server, step, error, message):
    server.script = [step]
    with pytest.raises(error, match=message):
        run(server, lambda chat: pieces_of(chat, timeout_s=0.5 if step == "hang" else 30), max_retries=1)


@pytest.mark.parametrize(
    ("end", "message"), [(None, "ended before"), ("length", "cut off"), ("content_filter", "filter")]
)
def test_an_answer_that_breaks_off_gives_its_pieces_first(server, end, message):
    server.script = [Streamed(("一", "二"), end=end)]

    seen = []

    async def read(chat):
        async for piece in chat.stream("问", timeout_s=30):
            seen.append(piece)  # noqa: PERF401 – an error ends it

    with pytest.raises(LLMError, match=message):
        run(server, read)
    assert seen == ["一", "二"]


def test_an_end_that_is_not_named_is_one_where_the_bodys_length_is_known(server):
    data = b'data: {"choices": [{"delta": {"content": "\xe7\xad\x94"}}]}\n\ndata: [DONE]\n\n'
    server.script = [(200, data, {"Content-Type": "text/event-stream"})]
    assert run(server, pieces_of) == ["答"]


def test_the_time_is_for_the_whole_answer(server):
    server.script = [Streamed(("慢",) * 100, gap_s=0.2)]
    started = time.monotonic()
    with pytest.raises(LLMUnavailableError, match="BOTHWAYS_LLM_TIMEOUT_S"):
        run(server, lambda chat: pieces_of(chat, timeout_s=0.3))
    assert time.monotonic() - started < 10


def test_a_dead_endpoint_is_not_asked_again_for_a_while():
    async def ask_often(chat):
        for _ in range(5):
            with pytest.raises(LLMUnavailableError, match="No language model answers"):
                await pieces_of(chat)
        with pytest.raises(LLMUnavailableError, match="was down a moment ago"):
            await pieces_of(chat)

    run(None, ask_often, base_url=f"http://127.0.0.1:{free_port()}/v1", max_retries=0)


@pytest.mark.parametrize("leave", ["close", "cancel"])
def test_whoever_leaves_ends_the_connection(server, leave):
    server.script = [Streamed(("一",) * 1000, gap_s=0.01)]

    async def leave_early(chat):
        async def read():
            async with aclosing(chat.stream("问", timeout_s=30)) as stream:
                async for _ in stream:
                    if leave == "close":
                        return
                    begun.set()

        begun = asyncio.Event()
        reading = asyncio.create_task(read())
        if leave == "cancel":
            await begun.wait()
            reading.cancel()
        await asyncio.wait([reading])
        for _ in range(300):
            if server.cut:
                break
            await asyncio.sleep(0.01)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert run(server, leave_early) == set()
    assert (server.cut, server.writing) == (1, 0)


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["<thi", "nk>secret</th", "ink>", "\n\n", "答", " 案 "], "答 案 "),
        (["<", "b>fat</b>"], "<b>fat</b>"),
        ([" ", "答"], "答"),
        (["<think>a</think>答</think>"], "答</think>"),
        (["<th"], "<th"),
        (["<think>never closed"], ""),
    ],
)
def test_thoughts_are_left_out(pieces, shown):
    thoughts = Thoughts()
    assert "".join([*map(thoughts.feed, pieces), thoughts.close()]) == shown


def test_the_settings_choose_the_model(server):
    assert load_chat(load_settings()) is None
    chat = load_chat(load_settings(llm_base_url=server.url, llm_model="m"))
    assert isinstance(chat, ChatEndpoint)
    asyncio.run(chat.aclose())
