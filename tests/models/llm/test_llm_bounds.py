"""An endpoint of which nothing can be believed: whatever it sends is bounded in bytes, events, memory and time."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import resource
import time
from contextlib import aclosing

import pytest

from bothways.core.errors import LLMAnswerTooLargeError, LLMError, LLMUnavailableError, SettingsError
from bothways.models.client_thread import ClientThread, ClosedError
from bothways.models.llm.answers import MAX_CHARS, Thoughts, error_in, first_model, piece_of, text_of, usage_of
from bothways.models.llm.chat_endpoint import ChatEndpoint
from bothways.models.llm.endpoint import EndpointModel
from bothways.models.llm.http import MAX_ANSWER_BYTES
from bothways.models.llm.usage import TokenUsage
from tests.llm_server import Raw, Scripted, completion

MB = 1_000_000
SSE = "text/event-stream"


@pytest.fixture
def server():
    scripted = Scripted()
    yield scripted
    scripted.close()


def pour(piece, count):
    """So many pieces of the same bytes."""
    return lambda: itertools.repeat(piece, count)


def event(**delta):
    return b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n"


def trickle(piece, gap_s=0.02):
    def pieces():
        while True:
            time.sleep(gap_s)
            yield piece

    return pieces


def generated(server, timeout_s=30.0, **options):
    model = EndpointModel(server.url, **{"model": "m", "first_wait_s": 0.01} | options)
    try:
        return model.generate("问", timeout_s=timeout_s)
    finally:
        model.close()


def chatted(server, how, timeout_s=30.0):
    async def scene():
        chat = ChatEndpoint(server.url, model="m", first_wait_s=0.01)
        try:
            if how == "complete":
                return await chat.complete("问", timeout_s=timeout_s)
            async with aclosing(chat.stream("问", timeout_s=timeout_s)) as stream:
                return "".join([piece async for piece in stream])
        finally:
            await chat.aclose()

    return asyncio.run(scene())


WAYS = [
    pytest.param(generated, id="generate"),
    pytest.param(lambda server, **more: chatted(server, "complete", **more), id="complete"),
    pytest.param(lambda server, **more: chatted(server, "stream", **more), id="stream"),
]
HUGE = json.dumps(completion("长" * 5000)).encode()[:-40]

TOO_LARGE = [
    pytest.param(Raw(pieces=pour(b" " * 65536, 8000)), id="500 MB of spaces"),
    pytest.param(Raw(pieces=lambda: itertools.chain([HUGE], itertools.repeat(b"x" * 65536, 500))), id="30 MB of text"),
    pytest.param(Raw(pieces=pour(b"[", 1), headers=(("Content-Length", str(30 * MB)),)), id="30 MB that are announced"),
    pytest.param(Raw(pieces=pour(b"[" + b"{}," * 600_000 + b"1]", 1)), id="600,000 objects"),
    pytest.param(
        Raw(pieces=pour(b"data: [" + b"{}," * 80_000 + b"1]\n\n", 1), content_type=SSE), id="80,000 objects in an event"
    ),
    pytest.param(
        Raw(pieces=pour(b"data: " + b"x" * 65536, 8000), content_type=SSE), id="an event of 500 MB without a line's end"
    ),
    pytest.param(
        Raw(pieces=pour(b"data: " + b"x" * 1000 + b"\n", 500_000), content_type=SSE), id="an event of 500 MB in lines"
    ),
    pytest.param(Raw(pieces=pour(b": still here\n\n" * 4000, 10_000), content_type=SSE), id="500 MB of comments"),
    pytest.param(Raw(pieces=pour(b"\n" * 65536, 8000), content_type=SSE), id="500 MB of empty lines"),
    pytest.param(Raw(pieces=pour(event() * 1000, 10_000), content_type=SSE), id="ten million events that say nothing"),
    pytest.param(Raw(pieces=pour(event(content=" ") * 1000, 10_000), content_type=SSE), id="ten million spaces"),
    pytest.param(
        Raw(pieces=pour(event(content="长" * 1000), 10_000), content_type=SSE), id="a text of ten million characters"
    ),
]


@pytest.mark.parametrize("step", TOO_LARGE)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_too_large_is_given_up_at_its_bound_in_little_memory(server, way, step):
    server.script = [step]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(LLMAnswerTooLargeError, match="was stopped"):
        way(server, timeout_s=120)
    assert len(server.requests) == 1  # the next answer to the same prompt would be as long
    assert server.sent < 100 * MB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # kB


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Raw(pieces=pour(b"[" * 1000, 40)), "nested too deeply"),
        (Raw(pieces=pour(b'{"a":' * 1000, 40)), "nested too deeply"),
        (Raw(pieces=pour(gzip.compress(b" " * 50 * MB), 1), headers=(("Content-Encoding", "gzip"),)), "compressed"),
        (Raw(pieces=pour(b"\xff\xfe", 1)), "not a chat completion"),
        (Raw(pieces=pour(b"9" * 10_000, 1)), "not a chat completion"),
        ((200, {"choices": float("nan")}), "not a chat completion"),
        ((200, {"choices": {"0": {}}}), "not a chat completion"),
        ((200, {"choices": [[]]}), "not a chat completion"),
        ((200, {"choices": [{"message": "hello"}]}), "not a chat completion"),
        ((200, {"choices": [{"message": {"content": ["list"]}}]}), "not a chat completion"),
        ((200, {"choices": [{"message": {"content": 0}}]}), "not a chat completion"),
        ((200, {"choices": [{"message": {"content": {"text": "x"}}}]}), "not a chat completion"),
        ((302, {}, {"Location": "http://192.0.2.1/v1/chat/completions"}), "another address"),
        ((307, {}, {"Location": "/elsewhere"}), "another address"),
        (Raw(pieces=pour(b"x" * 65536, 500), status=400), "400"),
        (Raw(pieces=pour(b"[" * 60_000, 1), status=400), "400"),
        ((400, {"error": {"message": ["deep", {}]}}), "400"),
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_no_answer_is_an_error_of_ours(server, way, step, message):
    server.script = [step]
    with pytest.raises(LLMError, match=message):
        way(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"data: " + b"[" * 5000 + b"\n\n", LLMUnavailableError),
        (b"data: NaN\n\n", LLMUnavailableError),
        (b"data: 7\n\ndata: []\n\ndata: null\n\n", LLMUnavailableError),
        (b'data: {"choices": [7]}\n\n', LLMUnavailableError),
        (b'data: {"choices": [{"delta": [1]}]}\n\n', LLMUnavailableError),
        (event(content=["x"]) + event(content=7) + event(content=None), LLMUnavailableError),
        (b'data: {"error": {"message": 7}}\n\n', LLMUnavailableError),
        (b'data: {"error": "broken"}\n\n', LLMUnavailableError),
    ],
)
def test_events_of_any_shape_are_no_answer(server, data, error):
    server.script = [Raw(pieces=pour(data, 1), content_type=SSE)]
    with pytest.raises(error):
        chatted(server, "stream")


def test_a_stream_that_breaks_off_within_its_framing_is_an_error_of_ours(server):
    chunk = b"%x\r\n%s\r\n" % (len(event(content="半")), event(content="半"))
    server.script = [
        Raw(pieces=pour(chunk + b"ffff\r\n", 1), content_type=SSE, headers=(("Transfer-Encoding", "chunked"),))
    ]
    with pytest.raises(LLMError):
        chatted(server, "stream")


@pytest.mark.parametrize(
    "step",
    [
        Raw(pieces=trickle(b" ")),
        Raw(pieces=trickle(b": keep-alive\n\n"), content_type=SSE),
        Raw(pieces=trickle(event()), content_type=SSE),
        Raw(pieces=trickle(b"x"), status=500),
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_an_endless_trickle_has_its_time(server, way, step):
    server.script = [step]
    started = time.monotonic()
    with pytest.raises(LLMUnavailableError, match=r"within|in time"):
        way(server, timeout_s=0.5)
    assert time.monotonic() - started < 5


def test_headers_that_trickle_have_their_time_too(server):
    handler = server.server.RequestHandlerClass

    class Dribbling(handler):
        def do_POST(self):  # noqa: N802
            self.close_connection = True
            try:
                for byte in itertools.chain(b"HTTP/1.1 200 OK\r\nX: ", itertools.repeat(120)):
                    if server.release.wait(0.02):
                        return
                    self.wfile.write(bytes([byte]))
            except OSError:
                return

    server.server.RequestHandlerClass = Dribbling
    started = time.monotonic()
    with pytest.raises(LLMUnavailableError, match="within"):
        generated(server, timeout_s=0.5)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "listing",
    [
        Raw(pieces=pour(b" " * 65536, 500)),
        Raw(pieces=pour(b"[" * 50_000, 1)),
        Raw(pieces=pour(b'{"data": [{"id": 7}]}', 1)),
        Raw(pieces=pour(b'{"data": [{"id": "\\u001b[31m"}]}', 1)),
        Raw(pieces=pour(b'{"data": {"id": "x"}}', 1)),
    ],
)
def test_a_list_of_models_is_believed_no_more(server, listing):
    server.listing = listing
    with pytest.raises(LLMError):
        generated(server, model=None)


def test_the_loop_goes_on_while_30_mb_come(server):
    server.script = [Raw(pieces=pour(b"[1," * 20_000, 500))]

    async def scene():
        chat = ChatEndpoint(server.url, model="m")
        longest, last, done = 0.0, time.perf_counter(), False

        async def watch():
            nonlocal longest, last
            while not done:
                await asyncio.sleep(0)
                now = time.perf_counter()
                longest, last = max(longest, now - last), now

        watching = asyncio.create_task(watch())
        with pytest.raises(LLMAnswerTooLargeError):
            await chat.complete("问", timeout_s=30)
        done = True
        await watching
        await chat.aclose()
        return longest

    assert asyncio.run(scene()) < 1.0  # 6 s where all of it is parsed


def test_an_answer_at_its_bound_is_one(server):
    text = "长" * MAX_CHARS
    whole = json.dumps(completion(text), ensure_ascii=True).encode()
    assert len(whole) < MAX_ANSWER_BYTES
    server.script = [(200, whole)]
    assert generated(server) == text
    server.script = [(200, json.dumps(completion(text + "长")).encode())]
    with pytest.raises(LLMAnswerTooLargeError, match="characters"):
        generated(server)


def test_an_event_that_comes_byte_by_byte_and_one_without_an_end_are_read(server):
    data = event(content="答") + event(content="案") + b'data: {"choices": [{"finish_reason": "stop"}]}'
    server.script = [Raw(pieces=lambda: (data[at : at + 1] for at in range(len(data))), content_type=SSE)]
    assert chatted(server, "stream") == "答案"


def test_many_thoughts_and_spaces_take_linear_time():
    thoughts = Thoughts()
    started = time.perf_counter()
    for _ in range(300_000):
        assert thoughts.feed(" ") == ""
    assert thoughts.feed("<think>") == ""
    for _ in range(300_000):
        assert thoughts.feed("想</thin") == ""
    assert thoughts.feed("k>\n 答") == "答"
    assert time.perf_counter() - started < 10  # minutes where all is looked through again with each piece


def test_half_characters_do_not_reach_an_encoder():
    assert text_of(completion("半\ud83d")) == "半?"
    assert piece_of({"choices": [{"delta": {"content": "\ude00"}}]}) == ("?", None)


def test_counts_and_names_of_any_type():
    assert usage_of({"usage": {"prompt_tokens": 10**400, "completion_tokens": 1}}) == TokenUsage(uncounted=1)
    assert usage_of({"usage": {"prompt_tokens": True, "completion_tokens": 1}}) == TokenUsage(uncounted=1)
    assert usage_of({"usage": "a lot"}) == usage_of(None) == TokenUsage(uncounted=1)
    assert first_model({"data": [{"id": "x" * 201}]}) is None
    assert error_in({"error": {}}) is None


def test_a_key_that_cannot_stand_in_a_header_is_refused_at_once(server):
    with pytest.raises(SettingsError, match="BOTHWAYS_LLM_API_KEY"):
        EndpointModel(server.url, api_key="sk-1\r\nX: y")


def test_the_key_is_sent_nowhere_else(server):
    other = Scripted()
    try:
        other.script = [(200, completion("no"))]
        server.script = [(307, {}, {"Location": f"{other.url}/chat/completions"})]
        with pytest.raises(LLMUnavailableError, match="BOTHWAYS_LLM_BASE_URL"):
            generated(server, api_key="hush")
        assert other.requests == []
    finally:
        other.close()


def test_a_closed_thread_runs_nothing_more():
    class Client:
        closed = False

        async def aclose(self):
            self.closed = True

    client = Client()
    running = ClientThread(lambda: client)

    async def name(_):
        return "done"

    assert running.run(name) == "done"
    running.close()
    running.close()
    assert client.closed
    with pytest.raises(ClosedError):
        running.run(name)
