import json
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bothways.cli.main import app
from bothways.cli.verbs import es
from bothways.core.errors import NodeError
from bothways.core.settings import load_settings
from bothways.node import place
from bothways.node.docker import container_name, docker_available, run_command
from bothways.node.local import down, purge, resolve_url, status, up

FAKE = """#!/bin/sh
echo "$@" >> {folder}/calls
case "$1" in
  info) exit {info} ;;
  run) {run}; touch {folder}/running ;;
  inspect) [ -e {folder}/running ] && echo true || echo false ;;
  stop) rm -f {folder}/running ;;
esac
"""


@pytest.fixture
def engine(monkeypatch, tmp_path):
    """A `docker` that only remembers what it was told."""

    def make(info=0, run="true"):
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "docker").write_text(FAKE.format(folder=folder, info=info, run=run))
        (folder / "docker").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return folder / "calls"

    monkeypatch.setattr(place, "is_root", lambda: False)
    monkeypatch.delenv("BOTHWAYS_ES_URL", raising=False)
    return make


@contextmanager
def answering():
    """A port that is free at first, and a way to have it answer like a node."""

    class Node(BaseHTTPRequestHandler):
        def do_GET(self):
            answer = json.dumps({"status": "green"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Node) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_the_command():
    assert run_command(port=9200, heap="1g", config=Path("/c")) == [
        "docker",
        "run",
        "-d",
        "--name",
        "bothways-es",
        "-p",
        "127.0.0.1:9200:9200",
        "-e",
        "discovery.type=single-node",
        "-e",
        "xpack.security.enabled=true",
        "-e",
        "xpack.security.enrollment.enabled=false",
        "-e",
        "xpack.security.http.ssl.enabled=false",
        "-e",
        "xpack.security.transport.ssl.enabled=false",
        "-e",
        "action.destructive_requires_name=true",
        "-e",
        "cluster.routing.allocation.disk.watermark.low=1200mb",
        "-e",
        "cluster.routing.allocation.disk.watermark.high=1100mb",
        "-e",
        "cluster.routing.allocation.disk.watermark.flood_stage=1gb",
        "-e",
        "cluster.info.update.interval=10s",
        "-e",
        "ES_JAVA_OPTS=-Xms1g -Xmx1g",
        "-v",
        "/c/analysis:/usr/share/elasticsearch/config/analysis:ro",
        "-v",
        "/c/users:/usr/share/elasticsearch/config/users:ro",
        "-v",
        "/c/users_roles:/usr/share/elasticsearch/config/users_roles:ro",
        "-v",
        "bothways-es-data:/usr/share/elasticsearch/data",
        "docker.elastic.co/elasticsearch/elasticsearch:9.4.3",
    ]


def test_a_second_port_is_a_second_container():
    assert container_name(9201) == "bothways-es-9201"
    assert "bothways-es-9201-data:/usr/share/elasticsearch/data" in run_command(port=9201, heap="1g", config=Path("/c"))


def test_no_client_no_docker(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not docker_available()


@pytest.mark.parametrize(("code", "available"), [(0, True), (1, False)])
def test_a_client_alone_is_not_docker(engine, code, available):
    engine(info=code)
    assert docker_available() is available


def test_a_container_is_started_found_and_stopped(engine, monkeypatch, tmp_path):
    calls = engine()
    monkeypatch.setattr("bothways.node.local.check_port", lambda port: None)
    with answering() as port:
        chosen = load_settings(cache_dir=tmp_path / "cache", es_port=port)
        info = up(chosen)
        name = f"bothways-es-{port}"
        assert (info.kind, info.container, info.pid) == ("docker", name, None)
        assert (info.config / "analysis/bothways_synonyms.txt").is_file()
        assert up(chosen) == info == status(chosen)
        assert resolve_url(chosen) == f"http://127.0.0.1:{port}"
    assert down(chosen)
    assert status(chosen) is None
    said = calls.read_text().splitlines()
    assert sum(call.startswith("run ") for call in said) == 1
    assert f"stop -t 30 {name}" in said
    assert f"rm --force {name}" in said
    assert not purge(chosen)


def test_docker_that_fails_is_a_local_node_instead(engine, monkeypatch, tmp_path):
    engine(run="echo no space left >&2; exit 125")
    monkeypatch.setattr("bothways.node.local.check_port", lambda port: None)
    monkeypatch.setattr("bothways.node.local._up_local", lambda *arguments: "local")
    chosen = load_settings(cache_dir=tmp_path / "cache")
    assert up(chosen) == "local"
    with pytest.raises(NodeError, match="`docker run` failed: no space left"):
        up(chosen, kind="docker")


@pytest.fixture
def cli(monkeypatch, tmp_path):
    """The verbs, with settings of their own."""

    monkeypatch.delenv("BOTHWAYS_ES_URL", raising=False)

    def run(*arguments, **settings):
        chosen = load_settings(cache_dir=tmp_path / "cache", **settings)
        monkeypatch.setattr(es, "settings", lambda: chosen)
        return CliRunner().invoke(app, ["es", *arguments], catch_exceptions=False)

    return run


def test_with_a_url_nothing_is_started(cli):
    done = cli("up", es_url="http://me:secret@es:9200")
    assert done.exit_code == 0
    assert "http://es:9200 is used and nothing is to be started" in done.stdout


def test_a_url_that_does_not_answer_is_said(cli):
    told = json.loads(cli("status", "--json", es_url="http://127.0.0.1:1").stdout)
    assert (told["kind"], told["url"], told["status"]) == ("url", "http://127.0.0.1:1", "unknown")
    assert "No Elasticsearch answers at http://127.0.0.1:1" in told["reasons"][0]
    assert "unknown\n  - No Elasticsearch answers" in cli("status", es_url="http://127.0.0.1:1").stdout


def test_without_a_node(cli):
    assert json.loads(cli("status", "--json").stdout) == {"kind": None, "url": None}
    assert "`bothways es up` starts one" in cli("status").stdout
    assert "No Elasticsearch was running" in cli("down").stdout
