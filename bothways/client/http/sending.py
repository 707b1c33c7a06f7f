"""What sending a request has in common with and without an event loop: address, key, answers, what is sent again.

A request is sent again, at most `RETRIES` times with growing waits, where that is safe: always where no connection came
about, and where the server says by 503 and `Retry-After` that it did not begin; where it changes nothing, on any 503
and on a broken connection too. A time-out is not sent again: it would only add to what the server has to do.
"""

from __future__ import annotations

import os
import random
import ssl
from contextlib import ExitStack
from functools import cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from bothways.client.errors import BothwaysError, ResponseError, TimedOutError, UnreachableError, problem_error
from bothways.client.http.calls import Call, opened
from bothways.schemas.jobs import Job

T = TypeVar("T")

URL_SETTING = "BOTHWAYS_SERVER_URL"
KEY_SETTING = "BOTHWAYS_SERVER_API_KEY"
DEFAULT_URL = "http://127.0.0.1:8000"

TIMEOUT_S = 60.0
"""As long as a server gives its language model by default."""

RETRIES = 2
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 10.0


def address(url: str | None) -> str:
    """Return the server's address: `url`, else BOTHWAYS_SERVER_URL, else the default; raises `ValueError`."""
    chosen = (url or os.environ.get(URL_SETTING) or DEFAULT_URL).rstrip("/")
    parts = urlsplit(chosen)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError(f"{chosen!r} is no address of a server; write it as in {DEFAULT_URL}.")
    return chosen


def headers(api_key: str | None) -> dict[str, str]:
    """Return the headers of each request. `api_key`: None means BOTHWAYS_SERVER_API_KEY, "" means no key."""
    key = os.environ.get(KEY_SETTING, "") if api_key is None else api_key
    return {"Accept": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}


def timeouts(timeout_s: float) -> httpx.Timeout:
    """Return the time limits of a request: `timeout_s` for each wait, and at most 5 seconds for a connection."""
    return httpx.Timeout(timeout_s, connect=min(5.0, timeout_s))


def certificates(url: str) -> ssl.SSLContext | bool:
    """Return what the server's certificate is checked by; reading it takes 20 ms, and plain HTTP needs none."""
    return _known_certificates() if url.lower().startswith("https:") else False


@cache
def _known_certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def arguments(call: Call[Any], stack: ExitStack) -> dict[str, Any]:
    """Return the arguments of `httpx.Client.build_request`; `stack` closes the files."""
    made: dict[str, Any] = {"method": call.method, "url": call.path}
    if call.params:
        made["params"] = dict(call.params)
    if call.files:
        made["files"] = opened(call.files, stack)
    elif call.json is not None:
        made["json"] = call.json
    return made


def answer(call: Call[T], response: httpx.Response) -> T:
    """Read an answer; raises `ProblemError` for a problem document, `ResponseError` if no Bothways server sent it."""
    if not response.is_success:
        raise refusal(response)
    if not response.content:
        return call.read(None)
    try:
        data = response.json()
    except ValueError as error:
        raise ResponseError(_no_bothways(response)) from error
    return call.read(data)


def refusal(response: httpx.Response) -> BothwaysError:
    """Return the error of an answer that is no success."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or "status" not in problem:
        return ResponseError(_no_bothways(response))
    return problem_error(
        response.status_code,
        problem,
        request_id=response.headers.get("x-request-id", ""),
        retry_after=response.headers.get("retry-after"),
    )


def failure(error: httpx.RequestError, url: str) -> BothwaysError:
    """Return our error for an error of httpx."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return UnreachableError(f"No server answers at {url} ({error}): start one with `bothways serve`.")
    if isinstance(error, httpx.TimeoutException):
        return TimedOutError(f"The server at {url} did not answer in time; give the client a longer `timeout_s`.")
    return UnreachableError(f"The connection to {url} broke ({error or type(error).__name__}).")


def wait_s(call: Call[Any], attempt: int, outcome: httpx.Response | httpx.RequestError) -> float | None:
    """Return the seconds to wait before a request is sent again, None if it is not. `attempt` counts from 1."""
    if attempt > RETRIES:
        return None
    wait: float = _FIRST_WAIT_S * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)  # noqa: S311 – no secret
    if isinstance(outcome, httpx.Response):
        if outcome.status_code != 503:
            return None
        after = outcome.headers.get("retry-after", "")
        if after.isdecimal():
            return float(after) if float(after) <= _LONGEST_WAIT_S else None
        return wait if call.is_read else None
    if isinstance(outcome, httpx.ConnectError | httpx.ConnectTimeout):
        return wait
    broke = isinstance(outcome, httpx.NetworkError | httpx.RemoteProtocolError)
    return wait if call.is_read and broke else None


def ended_early() -> ResponseError:
    """Return the error of a streamed answer without an end."""
    return ResponseError("The answer ended before it was whole: something closed the connection.")


def unended(job: Job, timeout_s: float) -> TimedOutError:
    """Return the error of a job that takes longer than `timeout_s`."""
    return TimedOutError(f"The job {job.id} is still {job.state} after {timeout_s:g} s; it goes on without you.")


def _no_bothways(response: httpx.Response) -> str:
    kind = response.headers.get("content-type", "no type")
    return (
        f"What answers at {response.request.url} is no Bothways server: status {response.status_code}, {kind}. "
        "Give the address that `bothways serve` prints, without a path."
    )
