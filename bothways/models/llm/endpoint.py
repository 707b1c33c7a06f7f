"""A language model behind an OpenAI-compatible endpoint.

The retries are our own and not a client's: they end with the caller's deadline, they wait as long as the endpoint
asks (`Retry-After`), they are cut short by `close()`, and they stop for everybody once the endpoint is known to be
down – indexing 100,000 chunks against a dead endpoint must not take hours.
"""

from __future__ import annotations

import asyncio
import email.utils
import os
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import httpx
import structlog

from bothways.core.errors import LLMError, LLMUnavailableError
from bothways.core.lazy import Lazy
from bothways.core.text.address import public_url
from bothways.models.circuit import Circuit
from bothways.models.client_thread import ClientThread, ClosedError
from bothways.models.http import check_address, check_key, hushed
from bothways.models.llm.answers import first_model, text_of, usage_of
from bothways.models.llm.http import LLMHttp, RefusedError
from bothways.models.llm.usage import TokenUsage, UsageCounter
from bothways.models.rate_limit import Pace

log = structlog.get_logger()

T = TypeVar("T")

FAILURES = (RefusedError, httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, RecursionError)
"""Failures of a request; the last two are answers that are not the expected JSON."""

_MODELS_S = 10.0
_LONGEST_WAIT_S = 8.0
_LONGEST_RETRY_AFTER_S = 120.0
_PASSING = frozenset({408, 409, 429})
_REFUSES_FORMAT = frozenset({400, 422})


class EndpointModel:
    """Any endpoint with `/chat/completions` as OpenAI has it. `model` None: the first that `/models` lists.

    A timed-out request is not made again (it would most likely take as long); 408, 409, 429, 5xx and lost connections
    are, `max_retries` times, first after `first_wait_s`, then after twice as long each time, or as `Retry-After` says.
    `per_minute` limits completions, retries included; if a caller's deadline is before its turn, it gets an
    `LLMUnavailableError` at once. `pace` is such a limit that several models share. The limits of bytes and events are
    in `bothways/models/llm/http.py`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str = "",
        model: str | None = None,
        timeout_s: float = 60.0,
        max_retries: int = 4,
        first_wait_s: float = 0.5,
        per_minute: float | None = None,
        pace: Pace | None = None,
        temperature: float | None = None,
        circuit: Circuit | None = None,
    ) -> None:
        check_address(base_url, "BOTHWAYS_LLM_BASE_URL", example="http://127.0.0.1:11434/v1")
        check_key(api_key, "BOTHWAYS_LLM_API_KEY")
        self._address = public_url(base_url)
        self._key = api_key
        self._timeout_s = timeout_s
        self._max_retries = max_retries
        self._first_wait_s = first_wait_s
        self._temperature = temperature
        self._circuit = circuit or Circuit()
        self._pace = pace or Pace(per_minute)
        self._usage = UsageCounter()
        self._takes_schema = True
        self._model = model
        self._first_listed = Lazy(self._ask_for_model, retry_after_s=_MODELS_S)
        self._http = ClientThread(lambda: LLMHttp(base_url, api_key=api_key))

    @property
    def address(self) -> str:
        """Where it answers, without user and password."""
        return self._address

    @property
    def name(self) -> str:
        """The model's name as set, else the first that the endpoint lists (asked once)."""
        return self._model or self._first_listed()

    @property
    def usage(self) -> TokenUsage:
        """Tokens of all answers so far, as the endpoint counted them; unusable answers cost tokens, too."""
        return self._usage.total

    def generate(
        self, prompt: str, *, json_schema: dict[str, Any] | None = None, timeout_s: float | None = None
    ) -> str:
        """See `LanguageModel.generate`. An endpoint that refuses schemas is asked without one from then on."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        body = self._body(self.name, prompt)
        if json_schema is None or not self._takes_schema:
            return self._generated(body, deadline)
        wrapped = {"name": "answer", "strict": True, "schema": json_schema}
        try:
            return self._generated(
                body | {"response_format": {"type": "json_schema", "json_schema": wrapped}}, deadline
            )
        except LLMError as error:
            if not isinstance(error.__cause__, RefusedError) or error.__cause__.status not in _REFUSES_FORMAT:
                raise
            answer = self._generated(body, deadline)
            self._note_no_schemas(self._said(error.__cause__))
            return answer

    def close(self) -> None:
        """End back-off waits and close the connections."""
        self._http.close()

    def _body(self, name: str, prompt: str) -> dict[str, Any]:
        body = {"model": name, "messages": [{"role": "user", "content": prompt}]}
        return body if self._temperature is None else {**body, "temperature": self._temperature}

    def _generated(self, body: Mapping[str, Any], deadline: float | None) -> str:
        return text_of(self._run(lambda http: self._completed(http, body, deadline)))

    async def _completed(self, http: LLMHttp, body: Mapping[str, Any], deadline: float | None) -> object:
        """Return a whole answer as it came, its tokens counted."""
        answer = await self._asked(
            lambda left: http.whole("POST", "/chat/completions", body, timeout_s=left), deadline, self._pace
        )
        self._usage.add(usage_of(answer))
        return answer

    def _run(self, use: Callable[[LLMHttp], Any]) -> Any:  # noqa: ANN401 – any JSON
        try:
            return self._http.run(use)
        except ClosedError as error:
            raise LLMUnavailableError("The language model was closed.") from error

    def _note_no_schemas(self, reason: str) -> None:
        if self._takes_schema:
            self._takes_schema = False
            log.warning("llm.no_json_schema", address=self._address, reason=reason, hint="answers are parsed as text")

    def _ask_for_model(self) -> str:
        deadline = time.monotonic() + _MODELS_S
        listed = self._run(
            lambda http: self._asked(lambda left: http.whole("GET", "/models", timeout_s=left), deadline, Pace(None))
        )
        if (name := first_model(listed)) is None:
            raise LLMError(f"The endpoint {self._address} lists no model; set BOTHWAYS_LLM_MODEL.")
        return name

    async def _asked(self, request: Callable[[float], Awaitable[T]], deadline: float | None, pace: Pace) -> T:
        """Make a request through the circuit, with retries, and turn its failures into our errors."""
        if not self._circuit.admits():
            raise LLMUnavailableError(
                f"The language model at {self._address} was down a moment ago and is not asked again yet; start it, "
                "or correct BOTHWAYS_LLM_BASE_URL."
            )
        attempt = 0
        while True:
            await self._its_turn(pace, deadline)
            seconds = self._timeout_s if deadline is None else max(deadline - time.monotonic(), 0.001)
            try:
                async with asyncio.timeout(seconds):
                    answer = await request(seconds)
            except LLMError:
                self._circuit.record(ok=True)  # it does answer
                raise
            except FAILURES as error:
                wait = self._wait_after(error, attempt)
                attempt += 1
                too_late = deadline is not None and wait is not None and time.monotonic() + wait >= deadline
                if wait is None or too_late or attempt > self._max_retries or self._circuit.is_open:
                    raise self._failed(error, seconds, attempt, own_time=deadline is not None) from error
                log.debug("llm.retry", address=self._address, attempt=attempt, wait_s=round(wait, 2))
                await asyncio.sleep(wait)
            else:
                self._circuit.record(ok=True)
                return answer

    async def _its_turn(self, pace: Pace, deadline: float | None) -> None:
        """Wait for this request's turn."""
        wait = pace.turn(None if deadline is None else deadline - time.monotonic())
        if wait is None:
            raise LLMUnavailableError(  # no request was made, so the circuit does not count it
                f"The language model at {self._address} is asked only so often a minute "
                "(BOTHWAYS_LLM_REQUESTS_PER_MINUTE), and this request's turn would come too late."
            )
        await asyncio.sleep(wait)

    def _wait_after(self, error: Exception, attempt: int) -> float | None:
        """Seconds to wait before another attempt; None if another attempt is no use."""
        backoff = min(self._first_wait_s * 2**attempt, _LONGEST_WAIT_S) * random.uniform(0.75, 1)  # noqa: S311
        if isinstance(error, RefusedError):
            passing = error.status in _PASSING or error.status >= 500
            if not passing or error.code == "insufficient_quota":
                return None
            asked = _retry_after(error.headers.get("retry-after"))
            return backoff if asked is None else asked if asked <= _LONGEST_RETRY_AFTER_S else None
        lost = isinstance(error, httpx.TransportError) and not isinstance(error, httpx.TimeoutException)
        return backoff if lost else None

    def _failed(self, error: Exception, seconds: float, attempts: int, *, own_time: bool) -> LLMError:
        """Return our error and record it in the circuit, unless only the caller's own time was too short."""
        explained = self._explained(error, seconds, attempts)
        if not (own_time and isinstance(error, TimeoutError | httpx.TimeoutException)):
            self._circuit.record(ok=not isinstance(explained, LLMUnavailableError))
        return explained

    def _explained(self, error: Exception, seconds: float, attempts: int) -> LLMError:
        """Return an error that names the address and the setting to look at."""
        model = f"The language model at {self._address}"
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            setting = " (BOTHWAYS_LLM_TIMEOUT_S)" if seconds == self._timeout_s else ""
            return LLMUnavailableError(f"{model} gave no answer within {round(seconds, 1) or 0.1:g} s{setting}.")
        if isinstance(error, httpx.HTTPError | httpx.InvalidURL):
            why = self._hushed(_root_of(error))
            return LLMUnavailableError(
                f"No language model answers at {self._address} ({why}); start it, or correct BOTHWAYS_LLM_BASE_URL."
            )
        if isinstance(error, RefusedError):
            return self._explained_status(error, model, attempts)
        why = "it is nested too deeply" if isinstance(error, RecursionError) else self._hushed(str(error))
        return LLMUnavailableError(f"{model} sent something that is not a chat completion: {why}")

    def _explained_status(self, error: RefusedError, model: str, attempts: int) -> LLMError:
        said = self._said(error)
        if error.status in {401, 403}:
            return LLMUnavailableError(f"{model} refuses the key ({said}); set BOTHWAYS_LLM_API_KEY.")
        if error.status in _PASSING or error.status >= 500:
            times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
            return LLMUnavailableError(
                f"{model} is overloaded or out of order, still so after {times} ({said}); see BOTHWAYS_LLM_CONCURRENCY."
            )
        if error.status < 400:
            return LLMUnavailableError(
                f"{model} sends requests on to another address ({said}), where prompts and key are not sent; correct "
                "BOTHWAYS_LLM_BASE_URL."
            )
        hint = "; look at BOTHWAYS_LLM_MODEL and BOTHWAYS_LLM_BASE_URL" if error.status == 404 else ""
        return LLMError(f"{model} refused the request ({said}){hint}.")

    def _said(self, error: RefusedError) -> str:
        return self._hushed(f"HTTP {error.status}: {error.message}")

    def _hushed(self, text: str) -> str:
        return hushed(text, self._key)


def _root_of(error: BaseException) -> str:
    """Return the first cause of an error: "connection refused" instead of "all attempts failed"."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else cause
    if isinstance(error, OSError) and (error.errno or 0) > 0:
        return os.strerror(error.errno or 0)
    return str(error) or type(error).__name__


def _retry_after(value: str | None) -> float | None:
    """Seconds that a `Retry-After` header asks for: a number, or a date (RFC 9110, 10.2.3); None if unreadable."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", value.strip()):
        return float(value)
    try:
        parsed = email.utils.parsedate_tz(value)
        return max(0.0, email.utils.mktime_tz(parsed) - time.time()) if parsed else None
    except (ValueError, OverflowError, IndexError):  # a date that no calendar has
        return None
