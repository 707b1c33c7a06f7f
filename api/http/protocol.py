"""HTTP/1.1 as uvicorn speaks it, with bounds on what comes before, beside and after a body.

uvicorn's parser (httptools) takes any number and size of headers and waits for them as long as it likes. A connection
that it closes while the client still sends loses the answer: the client's system throws it away. So here:

- head: the URL and all headers are bounded in bytes, number and time (414, 431, 408),
- beside: trailers are left out, and framing of chunks may not be larger than what it frames,
- after: what still comes of a body that is answered already is taken in and dropped, up to a bound.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bothways.api.http.middleware import ALWAYS

MAX_URL = 8_192
MAX_HEAD = 65_536
"""Bytes of a request's line and headers together (nginx: 32 KB in four; Apache: 100 of 8 KB)."""
MAX_HEADERS = 100

HEAD_S = 20.0
"""Seconds for a request to arrive up to its body, from its first byte on, or from the start of the connection."""

DRAIN_S, DRAIN_IDLE_S = 30.0, 5.0
"""How long what is left of a body is taken in after the answer, and how long nothing may come meanwhile (as nginx)."""
DRAIN_BYTES = 256_000_000
"""And how much of it: an upload of twice the default limit gets its 413 even if its client reads nothing before."""

SEND_S = 30.0
"""A client that takes in nothing of an answer for so long is left alone, with what is not sent yet."""

TOO_MUCH: Final = (431, f"The headers have more than {MAX_HEAD} bytes, or are more than {MAX_HEADERS}: send fewer.")


class Refused(Exception):  # noqa: N818 – never leaves the parser
    """Ends the parsing of a request that is not taken."""


class Lingering:
    """A transport that is closed only when what the client still sends is in, so that the client gets the answer."""

    def __init__(self, transport: asyncio.Transport, protocol: BoundedProtocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self._is_lingering = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 – whatever the transport has
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Return whether nothing more is to be sent."""
        return self._is_lingering or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send bytes, unless the answer is complete."""
        if not self._is_lingering:
            self._transport.write(data)

    def pause_reading(self) -> None:
        """Stop to read, unless it is read to be dropped."""
        if not self._is_lingering:
            self._transport.pause_reading()

    def close(self) -> None:
        """End the answer here; close the connection at once only where the client has sent all it had to."""
        if self._is_lingering or not self._protocol.is_receiving:
            self._transport.close()
            return
        self._is_lingering = True
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        self._protocol.begin_drain()
        self._protocol.flow.read_paused = False
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def abandon(self) -> None:
        """Close the connection, whatever still comes or was to be sent."""
        self._transport.abort()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with the bounds above; `is_receiving` while a request is not complete."""

    is_receiving = False
    _refusal: tuple[int, str] | None = None
    _in_head = True
    _beside_body = 0
    _clock: asyncio.TimerHandle | None = None
    _draining = False
    _left = 0
    _last_byte = 0.0
    _drain_until = 0.0
    _unsent = 0
    _writing_clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin with a connection; its first request has to come in time."""
        super().connection_made(Lingering(transport, self))  # type: ignore[arg-type]
        self._start_clock(HEAD_S, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """End with it."""
        self._stop_clock()
        self._stop_writing_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, or drop it where the request is answered and the connection about to be closed."""
        if self._draining:
            self._dropped(len(data))
            if self.transport.is_closing():
                return
        self._beside_body += len(data)
        super().data_received(data)
        if self._refusal is not None or self.transport.is_closing():
            return
        if self._beside_body > MAX_HEAD:
            self._refuse(*TOO_MUCH)
        elif self._in_head and self.is_receiving and self._clock is None:
            self._start_clock(HEAD_S, self._head_is_late)

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be read: with the reason, or that it is no HTTP."""
        status, detail = self._refusal or (400, f"{msg} Send HTTP/1.1.")
        self._refuse(status, detail)

    # Callbacks of the parser.

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        super().on_message_begin()
        self.is_receiving = True

    def on_url(self, url: bytes) -> None:
        """Take a piece of the URL, within its bound."""
        super().on_url(url)
        if len(self.url) > MAX_URL:
            self._refusal = (414, f"The URL is longer than {MAX_URL} bytes: send long questions in the body.")
            raise Refused

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one behind the body is left out, for it would count as if it had come before the checks."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer, unless there are too many headers."""
        self._in_head = False
        self._stop_clock()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD or len(self.headers) > MAX_HEADERS:
            self._refusal = TOO_MUCH
            raise Refused
        _put_the_targets_host(self.url, self.headers)
        super().on_headers_complete()
        if self.expect_100_continue:
            # Answered at once, such a client may leave its body out, and the next request would be taken for it.
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body; as many bytes beside it are allowed."""
        self._beside_body = max(0, self._beside_body - 2 * len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is complete; a next one may follow on the connection."""
        self.is_receiving = False
        self._in_head = True
        self._beside_body = 0
        super().on_message_complete()
        if self._draining:
            self._draining = False
            self._start_clock(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def on_response_complete(self) -> None:
        """Note that the answer is out; what still comes of the request's body is dropped."""
        super().on_response_complete()
        if self.is_receiving and not self._in_head and self.cycle.response_complete and not self._draining:
            self.begin_drain()

    def pause_writing(self) -> None:
        """Note that the client does not keep up; it has to go on taking something in."""
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        self._stop_writing_clock()
        self._writing_clock = self.loop.call_later(SEND_S, self._check_writing)

    def resume_writing(self) -> None:
        """Note that it does."""
        self._stop_writing_clock()
        super().resume_writing()

    def _check_writing(self) -> None:
        before, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        if self._unsent < before:
            self._writing_clock = self.loop.call_later(SEND_S, self._check_writing)
        else:
            self._abandon()

    def _stop_writing_clock(self) -> None:
        if self._writing_clock is not None:
            self._writing_clock.cancel()
            self._writing_clock = None

    def shutdown(self) -> None:
        """Close the connection, or let it end after what is being answered."""
        if self.cycle is None or self.cycle.response_complete:
            self._abandon()
        else:
            super().shutdown()

    # What is left of a request that is answered.

    def begin_drain(self) -> None:
        """Take in what the client still sends, for a while."""
        now = self.loop.time()
        self._draining = True
        self._left = DRAIN_BYTES
        self._last_byte = now
        self._drain_until = now + DRAIN_S
        self._unset_keepalive_if_required()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the route that waits for the rest will not get it
            self.cycle.message_event.set()
        self._start_clock(DRAIN_IDLE_S, self._check_drain)

    def _dropped(self, size: int) -> None:
        self._left -= size
        self._last_byte = self.loop.time()
        if self._left < 0 or self._last_byte > self._drain_until:
            self._abandon()

    def _check_drain(self) -> None:
        now = self.loop.time()
        until = min(self._last_byte + DRAIN_IDLE_S, self._drain_until)
        if now >= until:
            self._abandon()
        else:
            self._start_clock(until - now, self._check_drain)

    # What is not taken.

    def _head_is_late(self) -> None:
        if self.is_receiving:
            self._refuse(408, f"The request did not arrive within {HEAD_S:g} seconds: send it again.")
        else:
            self._abandon()  # nothing was asked

    def _refuse(self, status: int, detail: str) -> None:
        """Send an answer and close the connection; nothing of the route's own answer is mixed into it."""
        if self.transport.is_closing():
            return
        self._stop_clock()
        self.is_receiving = True
        self._refusal = (status, detail)
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(_answer(status, detail))
        self.transport.close()

    def _abandon(self) -> None:
        self._stop_clock()
        transport: Any = self.transport
        transport.abandon()

    def _start_clock(self, seconds: float, then: Any) -> None:  # noqa: ANN401 – any callable without arguments
        self._stop_clock()
        self._clock = self.loop.call_later(seconds, self._ring, then)

    def _ring(self, then: Any) -> None:  # noqa: ANN401
        self._clock = None
        then()

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None


def _put_the_targets_host(url: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Use the host of a target that is a whole address (`GET http://a/b`) as the `Host`, as RFC 9112 requires."""
    scheme, separator, rest = url.partition(b"://")
    if separator and scheme.lower() in {b"http", b"https"}:
        authority = rest.partition(b"/")[0].partition(b"?")[0]
        headers[:] = [(b"host", authority), *(header for header in headers if header[0] != b"host")]


def _answer(status: int, detail: str) -> bytes:
    """Return a whole answer, a problem document, after which the connection ends."""
    phrase = HTTPStatus(status).phrase
    body = orjson.dumps({"type": "about:blank", "title": phrase, "status": status, "detail": detail})
    headers = (
        *ALWAYS,
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    )
    lines = (b"HTTP/1.1 %d %b" % (status, phrase.encode()), *(b"%b: %b" % header for header in headers))
    return b"\r\n".join((*lines, b"", body))
