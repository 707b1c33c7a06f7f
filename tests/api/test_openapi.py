"""The OpenAPI description beside the server; no Elasticsearch. With one: tests/integration/test_schemathesis.py."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from bothways.api.app import create_app
from bothways.core.errors import ElasticsearchUnavailableError
from bothways.core.settings import load_settings
from bothways.schemas.ask import AskRequest, PlainAskRequest
from bothways.schemas.search import SearchRequest

KEY = "the-key-of-a-test-for-all-of-it"


def away(_):
    raise ElasticsearchUnavailableError("No Elasticsearch is running.")


@pytest.fixture
def app(tmp_path):
    return create_app(load_settings(cache_dir=tmp_path, api_keys=KEY, feedback=False), away)


@pytest.fixture
def http(app):
    return TestClient(app, "http://127.0.0.1", raise_server_exceptions=False)


def operations(described):
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_operations_have_names_that_read_well(app):
    named = {operation["operationId"]: operation["summary"] for *_, operation in operations(app.openapi())}
    assert len(named) == len(list(operations(app.openapi())))
    assert {"search", "ask", "list_collections", "list_documents", "list_jobs", "upload_documents"} <= named.keys()
    assert named["list_documents"] == "List Documents"
    assert all(name.isidentifier() and "api_v1" not in name for name in named)


def test_errors_are_described_in_their_own_media_type(app):
    for path, _, operation in operations(app.openapi()):
        kind, model = (
            ("application/json", "OpenAIError") if path.startswith("/v1/") else ("application/problem+json", "Problem")
        )
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"403", "500"} <= errors.keys()
        for answer in errors.values():
            assert answer["content"] == {kind: {"schema": {"$ref": f"#/components/schemas/{model}"}}}
            assert len(answer["description"]) > 30
        assert all("X-Request-ID" in answer["headers"] for answer in operation["responses"].values())


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("post", "/api/v1/search", "400 401 403 404 408 409 413 415 421 422 500 502 503 504"),
        ("get", "/api/v1/collections", "401 403 409 421 500 502 503 504"),
        ("post", "/api/v1/collections/{collection}/documents", "400 401 403 404 408 409 413 415 422 503 507"),
        ("get", "/api/v1/jobs", "401 422 503"),
        ("post", "/v1/chat/completions", "400 401 404 413 415 503"),
        ("get", "/health/ready", "503"),
    ],
)
def test_statuses_of_operations(app, method, path, statuses):
    assert set(statuses.split()) <= app.openapi()["paths"][path][method]["responses"].keys()


def test_what_cannot_come_is_not_described(app):
    paths = app.openapi()["paths"]
    assert "401" not in paths["/health/live"]["get"]["responses"]
    assert "422" not in paths["/v1/chat/completions"]["post"]["responses"]
    assert "HTTPValidationError" not in app.openapi()["components"]["schemas"]
    assert "507" not in paths["/api/v1/search"]["post"]["responses"]


def test_keys_are_described_as_they_are_asked_for(app, tmp_path):
    schemes = app.openapi()["components"]["securitySchemes"]
    assert schemes["bearer"]["scheme"] == "bearer"
    assert (schemes["key"]["in"], schemes["key"]["name"]) == ("header", "X-API-Key")
    is_open = create_app(load_settings(cache_dir=tmp_path, feedback=False), away)
    for path, method, operation in operations(app.openapi()):
        wanted = [] if path.startswith("/health/") else [{"bearer": []}, {"key": []}]
        assert operation.get("security", []) == wanted
        free = is_open.openapi()["paths"][path][method].get("security", [])
        assert free == ([*wanted, {}] if wanted else [])


def filled(path):
    return "/".join("x" if part.startswith("{") else part for part in path.split("/"))


def test_a_method_that_a_path_does_not_have_is_told_which_it_has(app, http):
    for path, methods in app.openapi()["paths"].items():
        has = {method.upper() for method in methods}
        allowed = has | ({"HEAD"} if "GET" in has else set())
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - has:
            answer = http.request(method, filled(path), headers={"X-API-Key": KEY})
            assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, allowed), (method, path)
            if not path.startswith("/v1/"):
                assert answer.headers["content-type"] == "application/problem+json"
        options = http.options(filled(path))
        assert (options.status_code, set(options.headers["allow"].split(", "))) == (204, allowed)


def test_options_of_a_path_that_is_none(http):
    assert http.options("/api/v1/nothing").status_code == 404


@pytest.mark.parametrize("path", ["/health/live", "/api/v1/collections", "/v1/models", "/openapi.json", "/metrics"])
def test_head_is_get_without_a_body(http, path):
    get, head = (http.request(method, path, headers={"X-API-Key": KEY}) for method in ("GET", "HEAD"))
    assert head.status_code == get.status_code
    assert head.content == b""
    assert head.headers["content-type"] == get.headers["content-type"]
    if path != "/metrics":  # which counts the two requests
        assert head.headers["content-length"] == get.headers["content-length"]
    assert http.head(path).status_code == (401 if path.startswith(("/api/", "/v1/")) else get.status_code)


@pytest.mark.parametrize(
    "wrong",
    [{"top_k": "5"}, {"explain": "yes"}, {"highlight": 1}, {"min_score": "0"}, {"offset": 1.5}, {"facets": "a"}],
)
def test_a_value_of_another_type_is_refused(wrong):
    """The description says what type a field has, and nothing is made of another in silence."""
    for model in (SearchRequest, AskRequest, PlainAskRequest):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            model.model_validate({"query": "a", "collection": "b", **wrong})


def test_the_description_has_no_secret(app):
    assert KEY not in str(app.openapi())
