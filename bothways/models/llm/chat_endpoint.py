"""An OpenAI-compatible endpoint that is asked asynchronously and answers piece by piece.

Cancelling a call closes its connection, so that the endpoint stops writing. For one event loop: connections belong to
it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

import httpx

from bothways.core.errors import LLMUnavailableError
from bothways.models.llm.answers import MAX_CHARS, Thoughts, check_end, error_in, piece_of, text_of, too_long
from bothways.models.llm.endpoint import FAILURES, EndpointModel
from bothways.models.llm.http import LLMHttp, close, read_events, read_whole

T = TypeVar("T")


class ChatEndpoint(EndpointModel):
    """An OpenAI-compatible endpoint as a `ChatModel`: retries, circuit, rate and bounds as in `EndpointModel`.

    A stream is retried only until it begins. Endpoints that answer a request for a stream with one JSON document are
    understood, too.
    """

    def __init__(self, base_url: str, *, api_key: str = "", **options: Any) -> None:  # noqa: ANN401 – those of `EndpointModel`
        super().__init__(base_url, api_key=api_key, **options)
        self._chat = LLMHttp(base_url, api_key=api_key)

    async def stream(self, prompt: str, *, timeout_s: float) -> AsyncGenerator[str, None]:
        """See `ChatModel.stream`."""
        deadline = time.monotonic() + timeout_s
        body = self._body(await self._name_of_model(deadline), prompt) | {"stream": True}
        opened = await self._asked(
            lambda left: self._chat.open("POST", "/chat/completions", body, timeout_s=left), deadline, self._pace
        )
        try:
            if "json" in opened.headers.get("content-type", ""):
                yield text_of(await self._within(read_whole(opened), deadline))
                return
            async with aclosing(self._texts(opened, deadline)) as texts:
                async for text in texts:
                    yield text
        finally:
            await close(opened)

    async def complete(self, prompt: str, *, timeout_s: float) -> str:
        """See `ChatModel.complete`."""
        deadline = time.monotonic() + timeout_s
        body = self._body(await self._name_of_model(deadline), prompt)
        return text_of(await self._completed(self._chat, body, deadline))

    async def aclose(self) -> None:
        """See `ChatModel.aclose`."""
        self.close()
        await self._chat.aclose()

    async def _name_of_model(self, deadline: float) -> str:
        if self._model:
            return self._model
        return await self._within(asyncio.to_thread(self._first_listed), deadline)

    async def _texts(self, opened: httpx.Response, deadline: float) -> AsyncGenerator[str, None]:
        """Yield the text of a stream that is to be shown; raise `LLMError` if the stream is not complete."""
        thoughts = Thoughts()
        # Where the body's own framing tells its end, a lost connection is an error by itself.
        reason, written = ("stop" if _is_framed(opened.headers) else None), 0
        async with aclosing(read_events(opened)) as events:
            while (event := await self._within(anext(events, _END), deadline)) is not _END:
                if (said := error_in(event)) is not None:
                    raise LLMUnavailableError(f"The language model at {self._address} failed: {self._hushed(said)}")
                piece, ended = piece_of(event)
                reason = ended or reason
                if text := thoughts.feed(piece):
                    written += len(text)
                    if written > MAX_CHARS:
                        raise too_long()
                    yield text
        if text := thoughts.close():
            written += len(text)
            yield text
        check_end(reason, written=bool(written))

    async def _within(self, work: Awaitable[T], deadline: float) -> T:
        """Wait for the answer, and turn its failures into our errors."""
        left = max(0.0, deadline - time.monotonic())
        try:
            async with asyncio.timeout(left):
                return await work
        except TimeoutError as error:
            raise LLMUnavailableError(
                f"The language model at {self._address} was not done in time (BOTHWAYS_LLM_TIMEOUT_S)."
            ) from error
        except FAILURES as error:
            raise self._explained(error, left, 1) from error


_END = object()


def _is_framed(headers: Mapping[str, str]) -> bool:
    return "chunked" in headers.get("transfer-encoding", "") or "content-length" in headers
