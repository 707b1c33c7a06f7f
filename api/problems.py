"""From our errors to HTTP: one table of statuses, and problem documents as RFC 9457 has them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from bothways.api import openai_protocol
from bothways.core.errors import (
    AccessError,
    AliasError,
    BothwaysError,
    CollectionNotFoundError,
    DocumentNotFoundError,
    ElasticsearchError,
    ElasticsearchUnavailableError,
    FeedbackOffError,
    IncompatibleCollectionError,
    IndexFullError,
    IndexReadOnlyError,
    JobNotFoundError,
    JobStateError,
    LeaseHeldError,
    LeaseLostError,
    LLMError,
    LLMUnavailableError,
    MissingExtraError,
    ModelError,
    OverloadedError,
    SearchTimeoutError,
    StorageFullError,
    UsageError,
)
from bothways.schemas.server import Problem

STATUS: tuple[tuple[type[BothwaysError], int], ...] = (
    (UsageError, 422),
    (AccessError, 403),
    (CollectionNotFoundError, 404),
    (AliasError, 409),
    (DocumentNotFoundError, 404),
    (JobNotFoundError, 404),
    (FeedbackOffError, 409),
    (JobStateError, 409),
    (LeaseHeldError, 409),
    (LeaseLostError, 409),
    (StorageFullError, 507),
    (IndexFullError, 507),
    (IndexReadOnlyError, 409),
    (IncompatibleCollectionError, 409),
    (SearchTimeoutError, 504),
    (OverloadedError, 503),
    (ElasticsearchUnavailableError, 503),
    (LLMUnavailableError, 503),
    (MissingExtraError, 503),
    (ModelError, 503),
    (ElasticsearchError, 502),
    (LLMError, 502),
)
"""The first type that fits gives the status."""


NUMBER_TOO_LONG = "A number of the body has more digits than can be read: send it as text."


def problem(
    request: Request,
    status: int,
    detail: str,
    *,
    errors: list[dict[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return a problem document; for clients of the OpenAI protocol, an error in its shape."""
    if request.url.path.startswith(openai_protocol.PREFIX):
        status, content = openai_protocol.error_of(status, detail)
        return JSONResponse(content, status, headers=headers)
    body = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail, instance=request.url.path, errors=errors
    )
    return JSONResponse(body.model_dump(), status, headers=headers, media_type="application/problem+json")


def status_of(error: BothwaysError) -> int:
    """Return the HTTP status of one of our errors."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def headers_of(error: BothwaysError) -> dict[str, str] | None:
    """Return the headers of one of our errors: when to try again, where that may help."""
    if isinstance(error, OverloadedError | ElasticsearchUnavailableError):
        return {"Retry-After": str(error.retry_after_s)}
    return None


def install(app: FastAPI) -> None:
    """Register the handlers: ours, FastAPI's validation, and plain HTTP errors; the middleware has the rest."""

    @app.exception_handler(BothwaysError)
    async def _ours(request: Request, error: BothwaysError) -> JSONResponse:
        return problem(request, status_of(error), str(error), headers=headers_of(error))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [{"loc": list(e["loc"]), "msg": e["msg"], "type": e["type"]} for e in error.errors()]
        first = errors[0]
        if first["type"] == "json_invalid":
            at = first["loc"][-1]
            return problem(request, 400, f"The body is not JSON: {first['msg']} at character {at}.", errors=errors)
        in_body = first["loc"][0] == "body"
        if in_body and not request.headers.get("content-type", "").startswith("application/json"):
            return problem(request, 415, "Send the body as JSON, with the header Content-Type: application/json.")
        where = ".".join(str(part) for part in first["loc"][1:]) or "body"
        return problem(request, 422, f"The request is not valid: {where}: {first['msg']}.", errors=errors)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400 and type(error.__cause__) is ValueError:
            # Python reads no whole number of more than 4,300 digits: the body is JSON, and what it says is too much.
            return problem(request, 422, NUMBER_TOO_LONG)
        return problem(request, error.status_code, str(error.detail), headers=error.headers)
