"""A language model behind an OpenAI-compatible endpoint.

The retries are our own and not the client's: they end with the caller's deadline, they wait as long as the endpoint
asks (`Retry-After`), they are cut short by `close()`, and they stop for everybody once the endpoint is known to be
down – indexing 100,000 chunks against a dead endpoint must not take hours.
"""

from __future__ import annotations

import email.utils
import random
import re
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import openai
import structlog

from core.address import public_url
from core.errors import LLMError, LLMUnavailableError, SettingsError
from core.models.circuit import Circuit
from core.models.pace import Pace
from core.models.usage import TokenUsage, UsageCounter
from core.once import Once

log = structlog.get_logger()

T = TypeVar("T")

CONNECT_S = 5.0
_MODELS_S = 10.0
_LONGEST_WAIT_S = 8.0
_LONGEST_RETRY_AFTER_S = 120.0
_PASSING = frozenset({408, 409, 429})
_REFUSES_FORMAT = frozenset({400, 422})
_THINKING = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)


class EndpointModel:
    """Any endpoint with `/chat/completions` as OpenAI has it. `model` None: the first that `/models` lists.

    A timed-out request is not made again (it would most likely take as long); 408, 409, 429, 5xx and lost connections
    are, `max_retries` times, first after `first_wait_s`, then after twice as long each time, or as `Retry-After` says.
    With `per_minute`, no more completions than that are asked for, retries included; a caller whose deadline is before
    its turn gets an `LLMUnavailableError` at once. `pace` is such a limit that several models share.
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
        self._address = _checked(base_url)
        self._key = api_key
        self._timeout_s = timeout_s
        self._max_retries = max_retries
        self._first_wait_s = first_wait_s
        self._temperature = temperature
        self._circuit = circuit or Circuit()
        self._pace = pace or Pace(per_minute)
        self._unpaced = Pace(None)
        self._usage = UsageCounter()
        self._closed = threading.Event()
        self._takes_schema = True
        self._model = model
        self._first_listed = Once(self._ask_for_model, retry_after_s=_MODELS_S)
        self._client = openai.OpenAI(base_url=base_url, api_key=api_key or "none", max_retries=0)

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
        name = self.name
        if json_schema is not None and self._takes_schema:
            try:
                return text_of(self._call(lambda left: self._complete(name, prompt, json_schema, left), deadline))
            except _FormatRefusedError as error:
                answer = text_of(self._call(lambda left: self._complete(name, prompt, None, left), deadline))
                self._note_no_schemas(str(error))
                return answer
        return text_of(self._call(lambda left: self._complete(name, prompt, None, left), deadline))

    def close(self) -> None:
        """End back-off waits and close the connections."""
        self._closed.set()
        self._client.close()

    def _complete(self, name: str, prompt: str, schema: dict[str, Any] | None, timeout: openai.Timeout) -> Any:  # noqa: ANN401 – whatever the endpoint sent
        wrapped = {"name": "answer", "strict": True, "schema": schema}
        try:
            answer = self._client.chat.completions.create(
                model=name,
                messages=[{"role": "user", "content": prompt}],
                temperature=openai.omit if self._temperature is None else self._temperature,
                response_format=openai.omit if schema is None else {"type": "json_schema", "json_schema": wrapped},  # type: ignore[arg-type]
                timeout=timeout,
            )
        except openai.APIStatusError as error:
            if schema is not None and error.status_code in _REFUSES_FORMAT:
                raise _FormatRefusedError(self._said(error)) from error
            raise
        self._usage.add(usage_of(answer))
        return answer

    def _note_no_schemas(self, reason: str) -> None:
        if self._takes_schema:
            self._takes_schema = False
            log.warning("llm.no_json_schema", address=self._address, reason=reason, hint="answers are parsed as text")

    def _ask_for_model(self) -> str:
        deadline = time.monotonic() + _MODELS_S
        page = self._call(lambda left: self._client.models.list(timeout=left), deadline, self._unpaced)
        listed = getattr(page, "data", None) or []
        name = getattr(listed[0], "id", None) if listed else None
        if not name:
            raise LLMError(f"The endpoint {self._address} lists no model; set BOTHWAYS_LLM_MODEL.")
        return str(name)

    def _call(self, request: Callable[[openai.Timeout], T], deadline: float | None, pace: Pace | None = None) -> T:
        """Make a request through the circuit, with retries, and turn the client's errors into ours."""
        if not self._circuit.admits():
            raise LLMUnavailableError(
                f"The language model at {self._address} was down a moment ago and is not asked again yet; start it, "
                "or correct BOTHWAYS_LLM_BASE_URL."
            )
        try:
            answer = self._with_retries(request, deadline, pace or self._pace)
        except _NotItsTurnError:
            raise  # nobody was asked
        except LLMUnavailableError as error:
            if deadline is None or not isinstance(error.__cause__, openai.APITimeoutError):
                self._circuit.record(ok=False)  # that a caller's own deadline was too short says nothing about it
            raise
        except (_FormatRefusedError, LLMError):
            self._circuit.record(ok=True)  # it does answer
            raise
        self._circuit.record(ok=True)
        return answer

    def _with_retries(self, request: Callable[[openai.Timeout], T], deadline: float | None, pace: Pace) -> T:
        attempt = 0
        while self._has_its_turn(pace, deadline):
            seconds = self._timeout_s if deadline is None else max(deadline - time.monotonic(), 0.001)
            try:
                return request(openai.Timeout(seconds, connect=min(seconds, CONNECT_S)))
            except _FormatRefusedError:
                raise
            except (openai.OpenAIError, ValueError) as error:  # ValueError: a body that is not the JSON it claims
                wait = self._wait_after(error, attempt)
                too_late = deadline is not None and wait is not None and time.monotonic() + wait >= deadline
                if wait is None or too_late or attempt >= self._max_retries or self._circuit.is_open:
                    raise self._explained(error, seconds, attempt + 1) from error
                attempt += 1
                log.debug("llm.retry", address=self._address, attempt=attempt, wait_s=round(wait, 2))
                self._closed.wait(wait)
        raise LLMUnavailableError("The language model was closed.")

    def _has_its_turn(self, pace: Pace, deadline: float | None) -> bool:
        """Wait for this request's turn; False where the model was closed meanwhile."""
        wait = pace.turn(None if deadline is None else deadline - time.monotonic())
        if wait is None:
            raise _NotItsTurnError(
                f"The language model at {self._address} is asked only so often a minute "
                "(BOTHWAYS_LLM_REQUESTS_PER_MINUTE), and this request's turn would come too late."
            )
        return not self._closed.wait(wait)

    def _wait_after(self, error: Exception, attempt: int) -> float | None:
        """Seconds to wait before another attempt; None where another attempt is no use."""
        backoff = min(self._first_wait_s * 2**attempt, _LONGEST_WAIT_S) * random.uniform(0.75, 1)  # noqa: S311
        if isinstance(error, openai.APIStatusError):
            passing = error.status_code in _PASSING or error.status_code >= 500
            if not passing or error.code == "insufficient_quota":
                return None
            asked = _retry_after(error.response.headers.get("retry-after"))
            return backoff if asked is None else asked if asked <= _LONGEST_RETRY_AFTER_S else None
        lost = isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError)
        return backoff if lost else None

    def _explained(self, error: Exception, seconds: float, attempts: int) -> LLMError:
        """Turn an error of the client into one of ours that says which address and setting to look at."""
        model = f"The language model at {self._address}"
        if isinstance(error, openai.APITimeoutError):
            setting = " (BOTHWAYS_LLM_TIMEOUT_S)" if seconds == self._timeout_s else ""
            return LLMUnavailableError(f"{model} gave no answer within {seconds:.3g} s{setting}.")
        if isinstance(error, openai.APIConnectionError):
            why = str(error.__cause__ or error)
            return LLMUnavailableError(
                f"No language model answers at {self._address} ({self._hushed(why)}); start it, or correct "
                "BOTHWAYS_LLM_BASE_URL."
            )
        if isinstance(error, openai.APIStatusError):
            return self._explained_status(error, model, attempts)
        return LLMUnavailableError(f"{model} sent something that is not a chat completion: {self._hushed(str(error))}")

    def _explained_status(self, error: openai.APIStatusError, model: str, attempts: int) -> LLMError:
        said = self._said(error)
        if error.status_code in {401, 403}:
            return LLMUnavailableError(f"{model} refuses the key ({said}); set BOTHWAYS_LLM_API_KEY.")
        if error.status_code in _PASSING or error.status_code >= 500:
            times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
            return LLMUnavailableError(
                f"{model} is overloaded or out of order, still so after {times} ({said}); see BOTHWAYS_LLM_CONCURRENCY "
                "and BOTHWAYS_LLM_MAX_RETRIES."
            )
        hint = "; look at BOTHWAYS_LLM_MODEL and BOTHWAYS_LLM_BASE_URL" if error.status_code == 404 else ""
        return LLMError(f"{model} refused the request ({said}){hint}.")

    def _said(self, error: openai.APIStatusError) -> str:
        body = error.body if isinstance(error.body, dict) else {}
        message = body.get("message") or error.response.reason_phrase
        return self._hushed(f"HTTP {error.status_code}: {message}")

    def _hushed(self, text: str) -> str:
        """One short line without the key, which some endpoints repeat in their errors."""
        text = " ".join(text.replace(self._key, "***").split() if self._key else text.split())
        return text if len(text) <= 200 else text[:199] + "…"


class _FormatRefusedError(Exception):
    """The endpoint refused a request that had a `response_format`; perhaps for that."""


class _NotItsTurnError(LLMUnavailableError):
    """The rate limit would have let the request through only after its deadline."""


def usage_of(completion: Any) -> TokenUsage:  # noqa: ANN401
    """Take the token counts out of a completion; an answer without both of them is counted as uncounted."""
    usage = getattr(completion, "usage", None)
    counts = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
    prompt, written = (n if isinstance(n, int) and n >= 0 else None for n in counts)
    return TokenUsage(uncounted=1) if prompt is None or written is None else TokenUsage(prompt, written)


def text_of(completion: Any) -> str:  # noqa: ANN401
    """Take the answer out of a completion; one that is empty, filtered or cut off is an `LLMError`."""
    choices = getattr(completion, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = getattr(choice, "message", None)
    if message is None or not isinstance(content := getattr(message, "content", None) or "", str):
        raise LLMUnavailableError(
            "The language model sent something that is not a chat completion; is BOTHWAYS_LLM_BASE_URL right?"
        )
    reason = getattr(choice, "finish_reason", None)
    if reason == "length":
        raise LLMError("The language model's answer was cut off at its length limit.")
    if reason == "content_filter" or getattr(message, "refusal", None):
        raise LLMError("The language model refused to answer (content filter).")
    text = _THINKING.sub("", content).strip()
    if not text:
        raise LLMError("The language model gave an empty answer.")
    return text


def _retry_after(value: str | None) -> float | None:
    """Seconds that a `Retry-After` header asks for: a number, or a date (RFC 9110, 10.2.3); None if unreadable."""
    if value is None:
        return None
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", value.strip()):
        return float(value)
    parsed = email.utils.parsedate_tz(value)
    return max(0.0, email.utils.mktime_tz(parsed) - time.time()) if parsed else None


def _checked(base_url: str) -> str:
    """Give the address as it may be shown; raises `SettingsError` for what is no http address."""
    try:
        parts = urlsplit(base_url)
        _ = parts.port  # raises for one that is no number
    except ValueError as error:
        raise SettingsError(f"BOTHWAYS_LLM_BASE_URL is not an address: {error}.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError("BOTHWAYS_LLM_BASE_URL has to be a whole address, as in http://127.0.0.1:11434/v1.")
    return public_url(base_url)
