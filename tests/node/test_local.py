import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import psutil
import pytest

from bothways.core.errors import NodeError
from bothways.core.settings import load_settings
from bothways.node import config, docker, local, place, process, purge, resolve_url
from bothways.node.config import install_synonyms, node_settings
from bothways.node.local import down, status, up
from bothways.node.place import Account, find_place, make_folder
from bothways.node.state import NodeInfo, living, read_state, write_state
from tests.http_server import LocalServer

SERVER = """
import json, pathlib, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
lines = pathlib.Path(sys.argv[1], "elasticsearch.yml").read_text().splitlines()
port = int(dict(line.split(": ", 1) for line in lines)["http.port"])
class Node(BaseHTTPRequestHandler):
    def do_GET(self):
        answer = json.dumps({"status": "green", "cluster_name": "c", "version": {"number": "9.9.9"}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
HTTPServer(("127.0.0.1", port), Node).serve_forever()
"""


def make_home(folder, script):
    """A distribution whose start script is a small one: like the real one it launches a server and waits for it."""
    for name in ("bin", "lib", "config", "jdk/bin"):
        (folder / name).mkdir(parents=True)
    (folder / "lib/elasticsearch-9.9.9.jar").touch()
    (folder / "config/log4j2.properties").touch()
    (folder / "server.py").write_text(SERVER)
    for name, text in (("bin/elasticsearch", script), ("jdk/bin/java", "exit 1")):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """Nobody is root and there is no Docker."""
    monkeypatch.setattr(place, "is_root", lambda: False)
    monkeypatch.setattr(docker, "docker_available", lambda: False)
    monkeypatch.delenv("ES_HOME", raising=False)
    monkeypatch.delenv("BOTHWAYS_ES_URL", raising=False)


@pytest.fixture
def chosen(tmp_path):
    found = load_settings(cache_dir=tmp_path / "cache", es_port=free_port(), es_heap="512m")
    yield found
    down(found)


@pytest.fixture
def home(tmp_path):
    run = f'{sys.executable} "$(dirname $0)/../server.py" "$ES_PATH_CONF" & trap "kill $!" TERM; wait'
    return make_home(tmp_path / "home", run)


def info_of(tmp_path, **values):
    made = NodeInfo(
        kind="local",
        url="http://127.0.0.1:9",
        port=9,
        version="9.9.9",
        config=tmp_path / "config",
        data=tmp_path / "data",
        logs=tmp_path / "log",
        started_at="2026-01-01T00:00:00+00:00",
    )
    return replace(made, **values)


def this_process():
    ours = psutil.Process(os.getpid())
    return ours.pid, ours.create_time()


def test_up_twice_is_one_node_and_down_ends_all_of_it(chosen, home):
    first = up(chosen, home=home)
    assert first.url == f"http://127.0.0.1:{chosen.es_port}"
    assert (first.kind, first.version, first.home) == ("local", "9.9.9", home)
    assert len(first.processes) == 2
    assert up(chosen, home=home).pid == first.pid == status(chosen).pid
    assert resolve_url(chosen) == first.url
    assert down(chosen)
    assert not living(first.processes)
    assert status(chosen) is None
    assert resolve_url(chosen) is None
    assert not down(chosen)


def test_two_at_once_start_one_node(chosen, home):
    found = []
    threads = [threading.Thread(target=lambda: found.append(up(chosen, home=home).pid)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert len(set(found)) == 1


def test_config_heap_and_synonyms_are_in_place(chosen, home, tmp_path):
    (tmp_path / "s.txt").write_text("a, b\n")
    chosen = chosen.model_copy(update={"synonyms_path": tmp_path / "s.txt"})
    info = up(chosen, home=home, prepare=str.upper)
    assert (info.config / "jvm.options.d/bothways.options").read_text() == "-Xms512m\n-Xmx512m\n"
    assert (info.config / "log4j2.properties").is_file()
    assert (info.config / config.SYNONYMS).read_text() == "A, B\n"
    (tmp_path / "s.txt").write_text("c, d\n")
    up(chosen, home=home)
    assert (info.config / config.SYNONYMS).read_text() == "c, d\n"


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        (
            r"java.lang.Error: bad option [x]\n    at X.java",
            r"java\.lang\.Error: bad option \[x\]\. Its log: .*console",
        ),
        (
            r"[now][ERROR][o.e] [me] unknown setting [x]\n\nERROR: Elasticsearch did not exit normally",
            r"unknown setting",
        ),
        (
            r"java.lang.RuntimeException: starting java failed with [1]\noutput:\nCould not reserve space\nerror:",
            "Could not reserve",
        ),
        ("", "it printed nothing"),
    ],
)
def test_a_node_that_dies_at_its_start_says_why(chosen, tmp_path, printed, reason):
    home = make_home(tmp_path / "dying", f"printf '{printed}'; exit 78")
    with pytest.raises(NodeError, match=rf"exit code 78\): {reason}"):
        up(chosen, home=home)
    assert read_state(chosen.cache_dir / "node") is None


def test_a_node_that_never_answers_is_ended(chosen, tmp_path, monkeypatch):
    home = make_home(tmp_path / "dumb", "echo $$ > $ES_TMPDIR/pid; exec sleep 60")
    monkeypatch.setattr(local, "wait_until_ready", partial(process.wait_until_ready, timeout_s=1))
    with pytest.raises(NodeError, match="did not answer within 1 s"):
        up(chosen, home=home)
    assert not psutil.pid_exists(int((chosen.cache_dir / "node/tmp/pid").read_text()))


def test_a_taken_port_names_an_elasticsearch_that_is_there(chosen, home, tmp_path):
    up(chosen, home=home)
    other = chosen.model_copy(update={"cache_dir": tmp_path / "other"})
    port = chosen.es_port
    expected = rf"Port {port} is taken by an Elasticsearch 9\.9\.9 \(cluster c\).*BOTHWAYS_ES_PORT.*BOTHWAYS_ES_URL"
    with pytest.raises(NodeError, match=expected):
        up(other, home=home)


def test_a_taken_port_names_an_elasticsearch_with_a_password(chosen, home):
    class Locked(BaseHTTPRequestHandler):
        def do_GET(self):
            answer = json.dumps({"error": {"type": "security_exception"}, "status": 401}).encode()
            self.send_response(401)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = LocalServer(Locked)
    try:
        there = chosen.model_copy(update={"es_port": server.server.server_port})
        with pytest.raises(NodeError, match=r"an Elasticsearch with a password.*BOTHWAYS_ES_USER"):
            up(there, home=home)
    finally:
        server.close()


def test_a_taken_port_of_another_program(chosen, home):
    with socket.socket() as server:
        server.bind(("127.0.0.1", chosen.es_port))
        with pytest.raises(NodeError, match=f"Port {chosen.es_port} is taken by another program: set BOTHWAYS_ES_PORT"):
            up(chosen, home=home)


def test_a_stale_state_is_forgotten_and_its_number_never_killed(chosen, home, tmp_path):
    ours = psutil.Process(os.getpid())
    folder = make_folder(chosen.cache_dir / "node", 0o700)
    write_state(folder, info_of(tmp_path, processes=((ours.pid, ours.create_time() - 3600),)))
    assert status(chosen) is None
    assert not down(chosen)
    assert not (folder / "node.json").exists()
    write_state(folder, info_of(tmp_path, processes=((ours.pid, ours.create_time() - 3600),)))
    assert up(chosen, home=home).pid != ours.pid


def test_state_is_written_and_read(tmp_path):
    info = info_of(tmp_path, home=tmp_path, processes=((1, 2.5), (3, 4.5)))
    write_state(tmp_path, info)
    assert read_state(tmp_path) == info
    assert json.loads((tmp_path / "node.json").read_text())["pid"] == 3


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": 1}'])
def test_a_state_that_is_not_understood_is_none(tmp_path, text):
    (tmp_path / "node.json").write_text(text)
    assert read_state(tmp_path) is None


def test_purge_removes_what_the_node_made(chosen, home):
    info = up(chosen, home=home)
    assert purge(chosen)
    assert not living(info.processes)
    assert not info.config.exists()
    assert not info.data.exists()


HOLDS = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_purge_removes_no_data_that_a_node_uses_of_which_nothing_is_noted(chosen):
    """The file that names the node's process is lost; the lock in its data is not."""
    data = place.find_place(chosen.cache_dir).node / "data"
    data.mkdir(parents=True)
    (data / "node.lock").touch()
    (data / "segment").touch()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, data / "node.lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as node:
        assert node.stdout.readline() == b"held\n"
        with pytest.raises(NodeError, match=r"still uses .*nothing was removed"):
            purge(chosen)
        assert (data / "segment").exists()
        node.stdin.close()
    assert not purge(chosen)
    assert not data.exists()


def test_a_home_that_is_none_is_refused(chosen, tmp_path):
    with pytest.raises(NodeError, match="not an Elasticsearch distribution"):
        up(chosen, home=tmp_path)


def test_resolve_url_prefers_the_setting(chosen):
    assert resolve_url(chosen.model_copy(update={"es_url": "http://es:9200"})) == "http://es:9200"


def test_a_cache_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NodeError, match=r"cannot be written.*BOTHWAYS_CACHE_DIR"):
        up(load_settings(cache_dir=tmp_path / "file/x"))


def test_settings_of_modules_only_where_they_are(tmp_path):
    assert "xpack.ml.enabled" not in node_settings(tmp_path, tmp_path, 1)
    (tmp_path / "modules/x-pack-ml").mkdir(parents=True)
    found = node_settings(tmp_path, tmp_path, 1)
    assert found["xpack.ml.enabled"] is False
    assert (found["network.host"], found["xpack.security.enabled"]) == ("127.0.0.1", True)


def test_empty_synonyms_are_a_comment(tmp_path):
    assert install_synonyms(tmp_path, " \n").read_text().startswith("#")


def test_root_keeps_out_of_its_closed_home(monkeypatch, tmp_path):
    account = Account("someone", 12345, 12345)
    monkeypatch.setattr(place, "is_root", lambda: True)
    monkeypatch.setattr(place, "service_account", lambda: account)
    (tmp_path / "closed").mkdir(mode=0o700)
    found = find_place(tmp_path / "closed/cache")
    assert found.base == Path("/var/lib/bothways")
    assert found.node.parent == found.base
    assert found.state == tmp_path / "closed/cache/node"
    assert find_place(tmp_path / "closed/other").node != found.node
    assert not account.can_read(tmp_path / "closed")


def test_root_uses_a_cache_folder_that_its_user_can_enter(monkeypatch, tmp_path):
    monkeypatch.setattr(place, "is_root", lambda: True)
    monkeypatch.setattr(place, "service_account", lambda: Account("me", os.getuid(), os.getgid()))
    assert find_place(tmp_path / "cache").node == tmp_path / "cache/node"


@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize("mode", [0o700, 0o711])
def test_folders_have_their_mode_whatever_the_umask(tmp_path, umask, mode):
    (tmp_path / "old").mkdir(mode=0o755)
    old = os.umask(umask)
    try:
        made = make_folder(tmp_path / "a/b", mode)
        narrowed = make_folder(tmp_path / "old", mode)
    finally:
        os.umask(old)
    assert {path.stat().st_mode & 0o777 for path in (made, made.parent, narrowed)} == {mode}
