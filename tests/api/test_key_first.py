"""The key comes before everything else of a request: who has none sends us no body and learns nothing of its form."""

from __future__ import annotations

import hashlib
import json

import pytest

from bothways.api.app import create_app
from bothways.core.errors import ElasticsearchUnavailableError
from bothways.core.settings import load_settings
from tests.api.asgi import request

OPEN = {"/health/live", "/health/ready"}
"""Routes of the OpenAPI description that take no key."""


def away(_):
    raise ElasticsearchUnavailableError("No Elasticsearch is running.")


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "bothways.api.security.wrong_keys.LONGEST_DELAY_S", 0.0
    )  # of many wrong keys here, none is an attacker's
    sha256 = hashlib.sha256(b"reader").hexdigest()
    (tmp_path / "keys.toml").write_text(f'[[keys]]\nsha256 = "{sha256}"\ngroups = ["hr"]\n', encoding="utf-8")
    (tmp_path / "keys.toml").chmod(0o600)
    chosen = load_settings(cache_dir=tmp_path, api_keys="k" * 40, api_keys_file=tmp_path / "keys.toml", feedback=False)
    return create_app(chosen, away)


def routes(app):
    """Give each route that takes a key, as (method, path), the parts of its path filled in."""
    paths = app.openapi()["paths"]
    found = [
        (method.upper(), "/".join("x" if part.startswith("{") else part for part in path.split("/")))
        for path, methods in paths.items()
        for method in methods
        if path not in OPEN
    ]
    assert len(found) > 15
    return found


@pytest.mark.parametrize("key", [None, "wrong"])
def test_no_route_reads_a_body_of_somebody_without_a_key(app, key):
    brought = [("x-api-key", key)] if key else []
    for method, path in routes(app):
        for kind in ("application/json", "multipart/form-data", "text/plain"):
            for length in ([("content-length", "1000000")], [("transfer-encoding", "chunked")]):
                headers = [("content-type", kind), *length, *brought]
                answered = request(app, method, path, headers=headers, pieces=(b"{broken", b"", b"x" * 1000))
                assert (answered.status, answered.received) == (401, 0), (method, path, kind)
                assert answered.headers["www-authenticate"] == "Bearer"


def test_nor_of_a_reader_who_may_not_use_the_route(app):
    brought = [("x-api-key", "reader"), ("content-type", "application/json"), ("content-length", "9000")]
    refused = []
    for method, path in routes(app):
        answered = request(app, method, path, headers=brought, pieces=(b"{broken",))
        if answered.status == 403:
            refused.append((method, path))
            assert answered.received == 0, (method, path)
    assert ("POST", "/api/v1/collections/x/documents") in refused
    assert ("PUT", "/api/v1/collections/x/acl") in refused
    assert ("POST", "/api/v1/search") not in refused


def test_with_a_key_the_body_is_looked_at(app):
    for path in ("/api/v1/search", "/api/v1/ask", "/ask", "/v1/chat/completions", "/api/v1/feedback"):
        brought = [("x-api-key", "reader"), ("content-type", "application/json"), ("content-length", "7")]
        assert request(app, "POST", path, headers=brought, pieces=(b"{broken",)).status == 400, path


def test_a_body_without_a_length_is_bounded_while_it_comes(app):
    piece = b'{"query": "' + b"x" * 100_000
    brought = [("x-api-key", "k" * 40), ("content-type", "application/json"), ("transfer-encoding", "chunked")]
    answered = request(app, "POST", "/api/v1/search", headers=brought, pieces=(piece,) * 24)
    assert (answered.status, answered.received) == (413, 20)  # of 2 MB; uploads: tests/api/test_server.py
    assert "larger than" in json.loads(answered.body)["detail"]
