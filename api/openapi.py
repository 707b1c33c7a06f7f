"""The OpenAPI description, made true: which errors an operation may answer, in which shape, and which key it takes.

FastAPI describes what goes well. What may go wrong is the same for all operations of a kind, so it is added here in one
place and not at each route; tests/api/test_openapi.py compares it with what the server answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from bothways.api.openai_protocol import PREFIX
from bothways.schemas.openai import OpenAIError
from bothways.schemas.server import Problem

WHY: Mapping[int, str] = {
    400: "The request cannot be read, as JSON that is broken",
    401: "No API key, or one that the server does not know (any more)",
    403: "The API key may only read, or a web page of elsewhere sent the request",
    404: "There is no such collection, document or job, or the API key cannot see it",
    408: "The body did not come in time",
    409: "What is there does not allow it now: another job, another embedding model, another state",
    413: "The body is larger than 2 MB, or an upload than BOTHWAYS_MAX_UPLOAD_MB",
    415: "The body is of a kind that is not read here",
    421: "The server is not called by this name (BOTHWAYS_ALLOWED_HOSTS)",
    422: "The request can be read, but is not valid; `detail` says what to change",
    500: "A mistake of the server's own, which its log has",
    502: "Elasticsearch or the language model failed",
    503: "Too much to do, or Elasticsearch or a model is not there: ask again after `Retry-After` seconds",
    504: "Elasticsearch did not answer in time",
    507: "The disk of the server or of Elasticsearch is full",
}
"""What each error status means, for all operations."""

_ALWAYS = (403, 421, 500)
_WITH_BODY = (400, 408, 413, 415, 422, 503)
_WITH_KEY = (401, 409, 502, 503, 504)
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API key of the server"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "the same"},
}
_HEADERS: Mapping[int, Mapping[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "`Bearer`", "required": True, "schema": {"type": "string"}}},
    503: {"Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 0}}},
}
_REQUEST_ID = {
    "description": "the request's own, or one that was made for it; the log has it, too",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
}


def operation_name(route: APIRoute) -> str:
    """Return the name of an operation, which generated clients call it by: the route's."""
    return route.name


def install(app: FastAPI, *, has_keys: bool) -> None:
    """Complete the application's description; `has_keys`: whether callers need a key."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(plain(), has_keys=has_keys)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _completed(described: dict[str, Any], *, has_keys: bool) -> dict[str, Any]:
    components = described.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)  # FastAPI's own shape of an error, which we do not use
    template = "#/components/schemas/{model}"
    for model in (Problem, OpenAIError):
        found = model.model_json_schema(ref_template=template, mode="serialization")
        schemas |= found.pop("$defs", {}) | {model.__name__: found}
    components["securitySchemes"] = _SECURITY
    for path, method, operation in _operations(described):
        if not path.startswith("/health/"):
            operation["security"] = [{name: []} for name in _SECURITY] + ([] if has_keys else [{}])
        operation["responses"] = _responses(path, method, operation)
    return described


def _operations(described: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _responses(path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an operation may answer: what FastAPI has of success, and the errors of its kind."""
    kept = {status: dict(answer) for status, answer in operation["responses"].items() if status < "300"}
    errors = {str(status): _error(path, status) for status in _statuses(path, method, operation)}
    responses = dict(sorted((kept | errors).items()))
    for answer in responses.values():
        answer["headers"] = {**answer.get("headers", {}), "X-Request-ID": _REQUEST_ID}
    return responses


def _statuses(path: str, method: str, operation: Mapping[str, Any]) -> list[int]:
    may = set(_ALWAYS)
    if path == "/health/ready":
        may.add(503)
    if not path.startswith("/health/"):
        may.update(_WITH_KEY)
    if operation.get("parameters"):
        may.add(422)
    if "requestBody" in operation:
        may.update(_WITH_BODY)
    if "{" in path or path.endswith(("/search", "/ask", "/completions")):
        may.add(404)
    if method != "get" and path.startswith(("/api/v1/collections", "/api/v1/jobs")):
        may.add(507)
    if path.startswith(PREFIX):
        may = (may - {422}) | {400}  # as OpenAI has it
    return sorted(may)


def _error(path: str, status: int) -> dict[str, Any]:
    model, kind = (
        (OpenAIError, "application/json") if path.startswith(PREFIX) else (Problem, "application/problem+json")
    )
    return {
        "description": f"{HTTPStatus(status).phrase}: {WHY[status]}",
        "content": {kind: {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}},
        "headers": dict(_HEADERS.get(status, {})),
    }
