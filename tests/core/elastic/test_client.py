"""The probe at start-up, against a server that answers as old, foreign, locked or no Elasticsearch at all would."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bothways.core.elastic.client import Server
from bothways.core.errors import (
    ElasticsearchError,
    ElasticsearchUnavailableError,
    ElasticsearchVersionError,
    SettingsError,
)
from bothways.core.settings import load_settings
from bothways.node.connect import connect


@pytest.fixture
def server():
    """Answers `GET /` and `GET /_license` as told: `server(status, body, product=True)` gives its address."""
    running = []

    def start(status, body, *, product=True, licence="basic"):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                is_licence = self.path.startswith("/_license")
                answer = {"license": {"type": licence}} if is_licence else body
                data = json.dumps(answer).encode()
                self.send_response(200 if is_licence else status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                if product:
                    self.send_header("X-Elastic-Product", "Elasticsearch")
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        running.append(http)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{http.server_port}"

    yield start
    for http in running:
        http.shutdown()
        http.server_close()


def version(number):
    return {"version": {"number": number}}


def test_version_and_licence(server):
    client, found = connect(load_settings(es_url=server(200, version("9.4.3"))))
    client.close()
    assert (found.version, found.licence, found.release, found.takes_packed_vectors) == ("9.4.3", "basic", (9, 4), True)


def test_vectors_are_packed_only_for_servers_that_take_them():
    assert not Server("http://x", "9.2.1", "basic").takes_packed_vectors


@pytest.mark.parametrize(
    ("number", "says"), [("8.19.3", 'pip install "elasticsearch'), ("10.0.0", "Elasticsearch 10.0.0")]
)
def test_another_major_version_is_refused_with_what_to_install(server, number, says):
    with pytest.raises(ElasticsearchVersionError, match=says):
        connect(load_settings(es_url=server(200, version(number))))


def test_a_server_that_does_not_know_our_media_type_is_of_another_major_version(server):
    error = {"error": {"type": "media_type_header_exception", "reason": "Invalid media-type value on [Accept] header"}}
    with pytest.raises(ElasticsearchVersionError, match="another major version"):
        connect(load_settings(es_url=server(400, error)))


def test_refused_credentials(server):
    body = {"error": {"type": "security_exception", "reason": "unable to authenticate"}}
    with pytest.raises(ElasticsearchError, match="BOTHWAYS_ES_API_KEY"):
        connect(load_settings(es_url=server(401, body), es_api_key="wrong"))


def test_what_is_no_elasticsearch(server):
    with pytest.raises(ElasticsearchError, match="not Elasticsearch"):
        connect(load_settings(es_url=server(200, {"hello": "world"}, product=False)))


def test_nothing_there():
    with pytest.raises(ElasticsearchUnavailableError, match=r"No Elasticsearch answers at http://127\.0\.0\.1:1:"):
        connect(load_settings(es_url="http://me:hush@127.0.0.1:1"))


@pytest.mark.parametrize("url", ["foo", "ftp://x", "localhost:9200"])
def test_what_is_no_address(url):
    with pytest.raises(SettingsError, match="http"):
        connect(load_settings(es_url=url))


def test_user_and_password_go_together(monkeypatch):
    monkeypatch.delenv("BOTHWAYS_ES_PASSWORD", raising=False)
    with pytest.raises(SettingsError, match="BOTHWAYS_ES_PASSWORD"):
        connect(load_settings(es_url="http://127.0.0.1:1", es_user="elastic"))
