"""What every answer carries, whatever it is: pages, files, answers, errors."""

from __future__ import annotations

import pytest

from bothways.api.app import create_app
from bothways.core.errors import ElasticsearchUnavailableError
from bothways.core.settings import load_settings
from tests.api.asgi import request
from tests.api.security.test_origin_check import PATHS


@pytest.fixture
def app(tmp_path):
    def away(_):
        raise ElasticsearchUnavailableError("No Elasticsearch is running.")

    return create_app(load_settings(cache_dir=tmp_path, feedback=False), away)


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_nothing_is_framed_or_guessed_at(app, method, path):
    for host in ("127.0.0.1", "evil.example"):
        headers = request(app, method, path, host=host, pieces=(b"{}",)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
        assert policy["frame-ancestors"] == policy["default-src"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_answers_are_kept_nowhere_and_files_asked_for_again(app, method, path):
    answered = request(app, method, path, pieces=(b"{}",))
    is_file = answered.status < 400 and path in {"/", "/docs", "/redoc", "/console/", "/console/js/main.js"}
    assert answered.headers["cache-control"] == ("no-cache" if is_file else "no-store")


def test_an_unforeseen_error_has_them_too(app):
    app.state.searcher = lambda: 1 / 0
    answered = request(app, "GET", "/health/ready")
    assert (answered.status, answered.headers["cache-control"]) == (500, "no-store")
    assert answered.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_pages_of_the_description_load_their_own_files_alone(app, path):
    answered = request(app, "GET", path)
    assert b"http:" not in answered.body
    assert b"https:" not in answered.body
    assert b"<script>" not in answered.body
    assert "script-src 'self';" in answered.headers["content-security-policy"]
    for line in answered.body.decode().splitlines():
        for name in ("src", "href"):
            if f'{name}="' in line:
                file = line.partition(f'{name}="')[2].partition('"')[0]
                assert request(app, "GET", f"/{file}").status == 200, file


def test_the_number_of_redocs_styles_is_new_each_time(app):
    first, second = (request(app, "GET", "/redoc").headers["content-security-policy"] for _ in range(2))
    assert "style-src 'self' 'nonce-" in first
    assert first != second


def test_redoc_fetches_no_picture_of_its_makers(app):
    assert b"cdn.redoc.ly" not in request(app, "GET", "/docs/redoc.js").body
