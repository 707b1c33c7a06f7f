"""JSON over HTTP to a language model's endpoint, with limits on the bytes and events of an answer.

The openai client reads any answer to its end: one of 30 MB held a server's event loop for 6 s, one event of 500 MB took
5 GB. Here reading stops at the limit, in the memory of one event. Callers limit the time (`asyncio.timeout`). Redirects
are not followed: prompts hold documents, which must not go to another address.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import cache
from importlib.metadata import version

import anyio
import httpx

from bothways.core.errors import LLMAnswerTooLargeError
from bothways.models.http import bounded_body

MAX_ANSWER_BYTES = 2 << 20
"""Of an answer as one document: 128,000 tokens of Chinese, all escaped as `\\uXXXX`, take about 1.2 MB."""
MAX_ERROR_BYTES = 64 << 10
"""Of the answer to a request that is refused; what is longer is no message for people, and is not read."""
MAX_CONTAINERS = 50_000
"""Lists and objects of a document or an event, which are what takes time to read: 700,000 empty ones in 2 MB would hold
an event loop for half a second. A completion has a dozen; the rest is room for the braces of an answer's own text."""
MAX_EVENT_BYTES = 256 << 10
"""Of one event of a stream, which holds a few words; some endpoints send a whole answer as one event."""
MAX_EVENTS = 200_000
"""Of a stream: more than a token an event for the longest answers there are."""
MAX_STREAM_BYTES = 64 << 20
"""Of a stream: `MAX_EVENTS` events of 330 bytes, 300 of which are the same in all events."""
CONNECT_S = 5.0

_EVENTS_AT_ONCE = 32
_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=100)
"""No narrower than BOTHWAYS_LLM_CONCURRENCY can be."""


@cache
def _certificates() -> ssl.SSLContext:
    """Read the trusted certificates once: it takes 30 ms."""
    return httpx.create_ssl_context()


class RefusedError(Exception):
    """The endpoint answered with an HTTP status other than 2xx: `message` and `code` are what its body says, if any."""

    def __init__(self, response: httpx.Response, body: object) -> None:
        error = body.get("error", body) if isinstance(body, dict) else body
        said = error.get("message") if isinstance(error, dict) else error
        code = error.get("code") if isinstance(error, dict) else None
        self.status = response.status_code
        self.message = said if isinstance(said, str) and said.strip() else response.reason_phrase
        self.code = code if isinstance(code, str) else ""
        self.headers: Mapping[str, str] = response.headers
        super().__init__(f"HTTP {self.status}")


class LLMHttp:
    """Asks one endpoint. For one event loop: connections belong to it."""

    def __init__(self, base_url: str, *, api_key: str) -> None:
        self._base = base_url.rstrip("/")
        headers = {
            "Authorization": f"Bearer {api_key or 'none'}",
            "Accept-Encoding": "identity",
            "User-Agent": f"bothways/{version('bothways')}",
        }
        self._client = httpx.AsyncClient(
            headers=headers, follow_redirects=False, limits=_LIMITS, verify=_certificates()
        )

    async def whole(self, method: str, path: str, body: object = None, *, timeout_s: float) -> object:
        """Return the answer as JSON.

        Raise `RefusedError`, `LLMAnswerTooLargeError`, `httpx.HTTPError`, or, if it is not JSON, `ValueError` or
        `RecursionError`.
        """
        response = await self.open(method, path, body, timeout_s=timeout_s)
        try:
            return await read_whole(response)
        finally:
            await close(response)

    async def open(self, method: str, path: str, body: object = None, *, timeout_s: float) -> httpx.Response:
        """Return the answer before it is read, to be closed by `close`; raise `RefusedError` and `httpx.HTTPError`."""
        request = self._client.build_request(
            method,
            self._base + path,
            json=body,
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_S)),
        )
        response = await self._client.send(request, stream=True)
        if response.is_success:
            return response
        try:
            raise RefusedError(response, await _error_body(response))
        finally:
            await close(response)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def close(response: httpx.Response) -> None:
    """Close a connection, also while the caller is being cancelled."""
    with anyio.CancelScope(shield=True):
        await response.aclose()


async def read_whole(response: httpx.Response) -> object:
    """Read an answer to its end as JSON; raise `LLMAnswerTooLargeError` if it is too long."""
    length = response.headers.get("content-length", "")
    if length.isdecimal() and len(length) < 20 and int(length) > MAX_ANSWER_BYTES:
        raise _too_large(MAX_ANSWER_BYTES)
    return _parsed(b"".join([piece async for piece in _body(response, MAX_ANSWER_BYTES)]))


async def read_events(response: httpx.Response) -> AsyncGenerator[object, None]:
    """Return the JSON of each event of a stream, up to its end or `[DONE]`.

    Raise `LLMAnswerTooLargeError`, `httpx.HTTPError`, or, if an event is not JSON, `ValueError` or `RecursionError`.
    """
    events = _Events()
    async with aclosing(_body(response, MAX_STREAM_BYTES)) as pieces:
        async for piece in pieces:
            for number, data in enumerate(events.feed(piece), start=1):
                if data.startswith(b"[DONE]"):
                    return
                yield _parsed(data)
                if number % _EVENTS_AT_ONCE == 0:
                    await asyncio.sleep(0)  # a flood leaves the loop to others now and then
    for data in events.feed(b"\n\n"):  # of an endpoint that forgets the empty line after its last event
        if not data.startswith(b"[DONE]"):
            yield _parsed(data)


def _body(response: httpx.Response, most: int) -> AsyncGenerator[bytes, None]:
    return bounded_body(response, most, lambda: _too_large(most))


async def _error_body(response: httpx.Response) -> object:
    """Return the body of a refusal as JSON; None if there is none or it is too long."""
    try:
        content = b"".join([piece async for piece in _body(response, MAX_ERROR_BYTES)])
        return _parsed(content)
    except (LLMAnswerTooLargeError, ValueError, RecursionError):
        return None


def _parsed(content: bytes) -> object:
    if content.count(b"{") + content.count(b"[") > MAX_CONTAINERS:
        raise LLMAnswerTooLargeError(
            f"Reading the language model's answer was stopped: it has more than {MAX_CONTAINERS:,} lists and objects."
        )
    parsed: object = json.loads(content)
    return parsed


def _too_large(most: int) -> LLMAnswerTooLargeError:
    return LLMAnswerTooLargeError(f"Reading the language model's answer was stopped: it has more than {most:,} bytes.")


class _Events:
    """Cuts a stream of server-sent events into the `data` of the events; their other fields are ignored."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []  # pieces of a line that has not ended
        self._data: list[bytes] = []  # lines of an event that has not ended
        self._size = 0
        self._events = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """Take in a piece of the stream and return the events that it completes."""
        *ended, rest = piece.split(b"\n")
        done: list[bytes] = []
        for line in ended:
            self._hold(line)
            if data := self._line(b"".join(self._begun).removesuffix(b"\r")):
                done.append(data)
            self._begun = []
        self._hold(rest)
        return done

    def _hold(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > MAX_EVENT_BYTES:
            raise LLMAnswerTooLargeError(
                f"Reading the language model's answer was stopped: one event has more than {MAX_EVENT_BYTES:,} bytes."
            )
        if part:
            self._begun.append(part)

    def _line(self, line: bytes) -> bytes:
        """Take a whole line; return the data of the event that it ends, b"" otherwise."""
        if line:
            field, _, value = line.partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" "))
            elif not self._data:
                self._size = 0  # a comment, or the name of an event that has no data yet
            return b""
        data, self._data, self._size = b"\n".join(self._data), [], 0
        self._events += 1
        if self._events > MAX_EVENTS:
            raise LLMAnswerTooLargeError(
                f"Reading the language model's answer was stopped: it has more than {MAX_EVENTS:,} events."
            )
        return data
