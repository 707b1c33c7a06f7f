"""No page of elsewhere reaches any route of the API, keys or no keys; those of allowed origins do."""

from __future__ import annotations

import json

import pytest

from bothways.api.app import create_app
from bothways.core.errors import ElasticsearchUnavailableError, SettingsError
from bothways.core.settings import load_settings
from tests.api.asgi import request

PATHS = [
    ("POST", "/api/v1/search"), ("POST", "/api/v1/collections/law/documents"), ("GET", "/api/v1/collections"),
    ("POST", "/api/v1/collections/law/rollback"), ("DELETE", "/api/v1/collections/law"), ("POST", "/ask"),
    ("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/metrics"), ("GET", "/health/live"),
    ("GET", "/health/ready"), ("GET", "/docs"), ("GET", "/redoc"), ("GET", "/openapi.json"), ("GET", "/console/"),
    ("GET", "/console/js/main.js"), ("GET", "/"), ("GET", "/no/such/path"), ("OPTIONS", "/api/v1/search"),
    ("PATCH", "/api/v1/search"),
]  # fmt: skip


def away(_):
    raise ElasticsearchUnavailableError("No Elasticsearch is running.")


def make(tmp_path, **options):
    return create_app(load_settings(cache_dir=tmp_path, feedback=False, **options), away)


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.delenv("BOTHWAYS_ALLOWED_HOSTS")
    return make(tmp_path)


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_every_route_is_closed_to_pages_of_elsewhere(app, method, path):
    for headers, status in [
        ([("origin", "http://evil.example")], 403),
        ([("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], 403),
        ([("host", "evil.example")], 421),
    ]:
        hosts = {name for name, _ in headers}
        answered = request(app, method, path, headers=headers, host=None if "host" in hosts else "127.0.0.1:8000")
        assert (answered.status, answered.received) == (status, 0), headers
        assert not [name for name in answered.headers if name.startswith("access-control")]
        assert answered.headers["x-request-id"]
        body = json.loads(answered.body)
        assert "BOTHWAYS_ALLOWED_HOSTS" in (body["detail"] if "detail" in body else body["error"]["message"])


def test_programs_and_our_own_console_are_let_in(app):
    for headers in ([], [("origin", "http://127.0.0.1:8000")], [("sec-fetch-site", "same-origin")]):
        assert request(app, "GET", "/health/live", headers=headers, host="127.0.0.1:8000").status == 200


def test_with_keys_any_name_is_right_unless_names_are_set(tmp_path, monkeypatch):
    monkeypatch.delenv("BOTHWAYS_ALLOWED_HOSTS")
    key = "k" * 40
    with_keys = make(tmp_path, api_keys=key)
    assert request(with_keys, "GET", "/health/live", host="search.example.com").status == 200
    evil = [("origin", "http://evil.example"), ("x-api-key", key)]
    assert request(with_keys, "POST", "/api/v1/search", headers=evil, host="search.example.com").status == 403
    named = make(tmp_path, api_keys=key, allowed_hosts="search.example.com, other.example.com")
    assert request(named, "GET", "/health/live", host="search.example.com").status == 200
    assert request(named, "GET", "/health/live", host="evil.example").status == 421


def test_the_name_that_it_listens_on_is_known(tmp_path, monkeypatch):
    monkeypatch.delenv("BOTHWAYS_ALLOWED_HOSTS")
    app = make(tmp_path, host="search.internal")
    assert request(app, "GET", "/health/live", host="search.internal:8000").status == 200


class TestAllowedOrigins:
    @pytest.fixture
    def app(self, tmp_path):
        return make(tmp_path, cors_origins="https://intranet.example.com,http://127.0.0.1:3000")

    def test_a_preflight_takes_no_key_and_says_what_may_be_sent(self, tmp_path):
        app = make(tmp_path, cors_origins="https://intranet.example.com", api_keys="k" * 40)
        headers = [("origin", "https://intranet.example.com"), ("access-control-request-method", "POST")]
        answered = request(app, "OPTIONS", "/api/v1/search", headers=headers)
        assert answered.status == 204
        assert answered.headers["access-control-allow-origin"] == "https://intranet.example.com"
        assert "POST" in answered.headers["access-control-allow-methods"]
        assert "X-API-Key" in answered.headers["access-control-allow-headers"]
        assert answered.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in answered.headers

    def test_answers_and_errors_can_be_read(self, app):
        for path, status in (("/health/live", 200), ("/no/such/path", 404), ("/api/v1/collections", 503)):
            answered = request(app, "GET", path, headers=[("origin", "http://127.0.0.1:3000")])
            assert answered.status == status
            assert answered.headers["access-control-allow-origin"] == "http://127.0.0.1:3000"
            assert "Location" in answered.headers["access-control-expose-headers"]

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://intranet.example.com.evil.example"])
    def test_others_are_told_nothing(self, app, origin):
        headers = [("origin", origin), ("access-control-request-method", "POST")]
        for method in ("OPTIONS", "GET"):
            answered = request(app, method, "/health/live", headers=headers)
            assert answered.status == 403
            assert not [name for name in answered.headers if name.startswith("access-control")]

    def test_without_an_origin_nothing_is_shared(self, app):
        answered = request(app, "GET", "/health/live")
        assert (answered.headers["vary"], answered.status) == ("Origin", 200)
        assert "access-control-allow-origin" not in answered.headers


@pytest.mark.parametrize(
    "options",
    [
        {"cors_origins": "*"}, {"cors_origins": "intranet.example.com"}, {"cors_origins": "https://a.example/x"},
        {"cors_origins": "https://*.example.com"}, {"cors_origins": "null"}, {"allowed_hosts": "http://a.example"},
        {"allowed_hosts": "a.example/x"}, {"allowed_hosts": "a b"}, {"allowed_hosts": "a.*.example"},
    ],
)  # fmt: skip
def test_settings_that_would_allow_nothing_or_too_much_are_refused(options):
    (name,) = options
    with pytest.raises(SettingsError, match=f"BOTHWAYS_{name.upper()}"):
        load_settings(**options)
