"""What can go wrong between a program and a Bothways server: one tree, and which status becomes which error.

`BothwaysError` catches all of it. Every message says what to do, the server's own where it sent one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class BothwaysError(Exception):
    """Anything that a client raises."""


class UnreachableError(BothwaysError):
    """No server answers at that address, or the connection broke."""


class TimedOutError(BothwaysError):
    """The server did not answer in time; a job did not end in time."""


class ResponseError(BothwaysError):
    """What answers at that address does not speak as Bothways does."""


class ProblemError(BothwaysError):
    """The server refused, and said why (RFC 9457).

    `errors` names the fields that are wrong, where it says so; `request_id` finds the request in the server's log.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        title: str = "",
        errors: Sequence[Mapping[str, Any]] = (),
        request_id: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.title = title
        self.errors = tuple(errors)
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class InvalidRequestError(ProblemError):
    """The request is not valid: 400, 413, 415, 422."""


class AuthenticationError(ProblemError):
    """The server wants an API key, or knows no such one: 401."""


class PermissionDeniedError(ProblemError):
    """The API key may not do this: 403."""


class NotFoundError(ProblemError):
    """There is no such collection, document or job: 404."""


class ConflictError(ProblemError):
    """It cannot be done as things are now, as with a collection that a job writes: 409."""


class UnavailableError(ProblemError):
    """The server has too much to do, or what it needs is not there; ask again later: 503. See `retry_after_s`."""


class ServerError(ProblemError):
    """The server, or something behind it, failed: any other 5xx."""


_BY_STATUS: dict[int, type[ProblemError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    503: UnavailableError,
}


def problem_error(
    status: int, problem: Mapping[str, Any], *, request_id: str = "", retry_after: str | None = None
) -> ProblemError:
    """Return the error of a problem document. `retry_after` is the header as sent; a date in it is ignored."""
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else ProblemError)
    return kind(
        status,
        str(problem.get("detail") or problem.get("title") or f"The server answered {status}."),
        title=str(problem.get("title") or ""),
        errors=problem.get("errors") or (),
        request_id=request_id,
        retry_after_s=float(retry_after) if retry_after and retry_after.isdecimal() else None,
    )
