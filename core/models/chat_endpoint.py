"""An OpenAI-compatible endpoint that is asked asynchronously and answers piece by piece.

Whoever cancels a call closes its connection, so that the endpoint stops writing. For one event loop: connections belong
to it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

import anyio
import openai
from openai.types.chat import ChatCompletion

from core.errors import LLMError, LLMUnavailableError
from core.models.llm_endpoint import CONNECT_S, EndpointModel, text_of, usage_of

T = TypeVar("T")

_OPEN, _CLOSE = "<think>", "</think>"


class ChatEndpoint(EndpointModel):
    """An OpenAI-compatible endpoint as a `ChatModel`: retries, circuit and rate as in `EndpointModel`.

    A stream is asked for anew only until it begins. An endpoint that answers a request for a stream with one JSON
    document is understood, too.
    """

    def __init__(self, base_url: str, **options: Any) -> None:  # noqa: ANN401 – those of `EndpointModel`
        super().__init__(base_url, **options)
        self._async = openai.AsyncOpenAI(base_url=base_url, api_key=self._client.api_key, max_retries=0)
        self._completions = self._async.chat.completions  # imported here, and not while a loop waits

    async def stream(self, prompt: str, *, timeout_s: float) -> AsyncGenerator[str, None]:
        """See `ChatModel.stream`."""
        deadline = time.monotonic() + timeout_s
        name = await self._name_of_model(deadline)
        opened = await self._asked(lambda left: self._open(name, prompt, left), deadline)
        thoughts = Thoughts()
        # Where the body's own framing tells its end, a lost connection is an error by itself.
        reason, written = ("stop" if _is_framed(opened.response.headers) else None), False
        try:
            if "json" in opened.response.headers.get("content-type", ""):
                yield text_of(await self._whole(opened, deadline))
                return
            while (chunk := await self._next(opened, deadline)) is not None:
                piece, ended = _piece_of(chunk)
                reason = ended or reason
                if text := thoughts.feed(piece):
                    written = True
                    yield text
            if text := thoughts.close():
                written = True
                yield text
        finally:
            with anyio.CancelScope(shield=True):
                await opened.close()
        _check_end(reason, written=written)

    async def complete(self, prompt: str, *, timeout_s: float) -> str:
        """See `ChatModel.complete`."""
        deadline = time.monotonic() + timeout_s
        name = await self._name_of_model(deadline)
        answer = await self._asked(lambda left: self._create(name, prompt, left), deadline)
        self._usage.add(usage_of(answer))
        return text_of(answer)

    async def aclose(self) -> None:
        """See `ChatModel.aclose`."""
        self.close()
        await self._async.close()

    async def _name_of_model(self, deadline: float) -> str:
        if self._model:
            return self._model
        return await self._within(asyncio.to_thread(self._first_listed), deadline)

    async def _open(self, name: str, prompt: str, timeout: openai.Timeout) -> openai.AsyncStream[Any]:
        return await self._completions.create(
            model=name, messages=[{"role": "user", "content": prompt}], stream=True, timeout=timeout
        )

    async def _create(self, name: str, prompt: str, timeout: openai.Timeout) -> Any:  # noqa: ANN401 – as it came
        return await self._completions.create(
            model=name, messages=[{"role": "user", "content": prompt}], timeout=timeout
        )

    async def _asked(self, request: Callable[[openai.Timeout], Awaitable[T]], deadline: float) -> T:
        """Make a request as `EndpointModel._call` does, without holding a thread."""
        if not self._circuit.admits():
            raise LLMUnavailableError(f"The language model at {self._address} was down a moment ago; it is not asked.")
        attempt = 0
        while True:
            left = deadline - time.monotonic()
            turn = self._pace.turn(left)
            if turn is None or left <= 0:
                raise LLMUnavailableError(f"The language model at {self._address} had no time left for this request.")
            await asyncio.sleep(turn)
            try:
                answer = await self._within(request(openai.Timeout(left, connect=min(left, CONNECT_S))), deadline)
            except (openai.OpenAIError, ValueError) as error:
                wait = self._wait_after(error, attempt)
                attempt += 1
                hopeless = wait is None or attempt > self._max_retries or self._circuit.is_open
                if wait is None or hopeless or time.monotonic() + wait >= deadline:
                    raised = self._explained(error, left, attempt)
                    if not isinstance(error, openai.APITimeoutError):  # a caller's own deadline says nothing of it
                        self._circuit.record(ok=not isinstance(raised, LLMUnavailableError))
                    raise raised from error
                await asyncio.sleep(wait)
            else:
                self._circuit.record(ok=True)
                return answer

    async def _next(self, opened: openai.AsyncStream[Any], deadline: float) -> Any:  # noqa: ANN401 – as it came
        """Give the next event of a stream, None at its end."""
        try:
            return await self._within(anext(opened, None), deadline)
        except (openai.OpenAIError, ValueError) as error:
            raise self._explained(error, max(0.0, deadline - time.monotonic()), 1) from error

    async def _whole(self, opened: openai.AsyncStream[Any], deadline: float) -> ChatCompletion:
        try:
            return ChatCompletion.model_validate_json(await self._within(opened.response.aread(), deadline))
        except (openai.OpenAIError, ValueError) as error:
            raise self._explained(error, max(0.0, deadline - time.monotonic()), 1) from error

    async def _within(self, work: Awaitable[T], deadline: float) -> T:
        started = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, deadline - started)):
                return await work
        except TimeoutError as error:
            raise LLMUnavailableError(
                f"The language model at {self._address} was not done in time (BOTHWAYS_LLM_TIMEOUT_S)."
            ) from error


class Thoughts:
    """Leaves out the `<think>…</think>` that a reasoning model begins with, and the white space around it."""

    def __init__(self) -> None:
        self._held: str | None = ""

    def feed(self, piece: str) -> str:
        """Take in a piece and give what is no thought of it."""
        if self._held is None:
            return piece
        begun = (self._held + piece).lstrip()
        self._held = begun
        if begun.startswith(_OPEN):
            _, closed, begun = begun.partition(_CLOSE)
            if not closed or not begun.strip():
                return ""
        elif _OPEN.startswith(begun):  # the empty text, too
            return ""
        self._held = None
        return begun.lstrip()

    def close(self) -> str:
        """Give what was held back and is no thought after all."""
        held, self._held = (self._held or "").strip(), None
        return "" if held.startswith(_OPEN) else held


def _piece_of(chunk: Any) -> tuple[str, str | None]:  # noqa: ANN401 – whatever the endpoint sent
    """Take text and end out of one event of a stream; events without either are told of by endpoints, too."""
    choices = getattr(chunk, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    content = getattr(getattr(choice, "delta", None), "content", None)
    reason = getattr(choice, "finish_reason", None)
    return (content if isinstance(content, str) else ""), (reason if isinstance(reason, str) else None)


def _is_framed(headers: Mapping[str, str]) -> bool:
    return "chunked" in headers.get("transfer-encoding", "") or "content-length" in headers


def _check_end(reason: str | None, *, written: bool) -> None:
    if reason is None:
        raise LLMUnavailableError("The language model's answer ended before it was done.")
    if reason == "length":
        raise LLMError("The language model's answer was cut off at its length limit.")
    if reason == "content_filter":
        raise LLMError("The language model refused to answer (content filter).")
    if not written:
        raise LLMError("The language model gave an empty answer.")
