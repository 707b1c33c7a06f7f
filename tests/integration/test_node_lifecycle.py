"""A second node beside the one of the run: a real start and a real end."""

import os
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest
from pydantic import SecretStr

from bothways.core.errors import NodeError
from bothways.node import config, down, local, status, up
from bothways.node.config import SYNONYMS
from bothways.node.connect import connect
from bothways.node.process import wait_until_ready
from bothways.node.state import living, write_state
from tests.own_node import own_place

pytestmark = pytest.mark.elasticsearch


@pytest.fixture
def chosen():
    with own_place() as settings:
        yield settings


def test_lifecycle(chosen, home, monkeypatch):
    monkeypatch.setenv("ES_HOME", str(home))
    neighbours = {process.pid for process in psutil.process_iter() if process.name() == "java"}
    info = up(chosen, kind="local", prepare=lambda rules: f"# prepared\n{rules}")

    assert httpx.get(info.url, trust_env=False).status_code == 401
    login = get_in(info)
    assert httpx.get(info.url, trust_env=False, auth=(login[0], "wrong")).status_code == 401
    health = httpx.get(f"{info.url}/_cluster/health", trust_env=False, auth=login).json()
    assert (health["cluster_name"], health["number_of_nodes"]) == ("bothways", 1)
    assert health["status"] in {"yellow", "green"}
    assert httpx.get(info.url, trust_env=False, auth=login).json()["version"]["number"] == info.version

    server = psutil.Process(info.pid)
    assert server.uids().effective != 0
    listening = [c.laddr for c in server.net_connections() if c.status == psutil.CONN_LISTEN]
    assert chosen.es_port in {address.port for address in listening}
    assert {address.ip.removeprefix("::ffff:") for address in listening} <= {"127.0.0.1", "::1"}
    assert "-Xmx512m" in server.cmdline()
    assert (info.config / SYNONYMS).read_text(encoding="utf-8").startswith("# prepared\n")
    assert info.data.stat().st_uid == server.uids().effective

    assert os.getsid(info.processes[0][0]) != os.getsid(0)
    assert up(chosen, kind="local").pid == info.pid == status(chosen).pid

    check_synonyms(info.url, login)
    check_that_the_password_is_nowhere(info, login[1])
    check_a_lost_password(chosen, info)

    assert down(chosen)
    assert not living(info.processes)
    assert status(chosen) is None
    assert not down(chosen)
    assert all(psutil.pid_exists(pid) for pid in neighbours)


def get_in(info):
    """User and password, as a script reads them from `bothways es status --json`."""
    told = info.to_json()
    assert Path(told["password_file"]).stat().st_mode & 0o777 == 0o600
    return told["user"], Path(told["password_file"]).read_text(encoding="utf-8").strip()


def check_that_the_password_is_nowhere(info, password):
    for process in living(info.processes):
        assert password not in " ".join(process.cmdline()) + str(process.environ())
    for path in (*info.config.rglob("*"), *info.logs.parent.rglob("*"), info.config.parent / "node.json"):
        if path.is_file():
            assert password.encode() not in path.read_bytes(), path


def check_a_lost_password(chosen, info):
    """The running node takes a new one."""
    info.password_file.unlink()
    with pytest.raises(NodeError, match="`bothways es up` makes a new one"):
        connect(chosen)
    assert up(chosen, kind="local").pid == info.pid
    with connect(chosen)[0] as client:
        assert client.security.authenticate()["username"] == "bothways"
    named = chosen.model_copy(update={"es_url": info.url})
    with connect(named)[0] as client:  # a script may name the node's own address
        key = client.security.create_api_key(name="a-key")
    keyed = named.model_copy(update={"es_api_key": SecretStr(key["encoded"])})
    with connect(keyed)[0] as client:
        assert client.info()["version"]["number"] == info.version


def check_synonyms(url, login):
    """The installed file can be used by an index as it is."""
    graph = {"type": "synonym_graph", "synonyms_path": SYNONYMS, "updateable": True}
    analyzer = {"tokenizer": "whitespace", "filter": ["known"]}
    body = {"settings": {"analysis": {"filter": {"known": graph}, "analyzer": {"search": analyzer}}}}
    body["mappings"] = {"properties": {"t": {"type": "text", "analyzer": "whitespace", "search_analyzer": "search"}}}
    with httpx.Client(base_url=url, trust_env=False, timeout=30, auth=login) as client:
        made = client.put("/synonyms-test", json=body)
        assert made.status_code == 200, made.text
        assert client.post("/synonyms-test/_reload_search_analyzers").status_code == 200
        assert client.delete("/synonyms-test").status_code == 200


def test_a_running_node_of_an_earlier_version_is_taken_over_with_its_data(chosen, home, monkeypatch):
    monkeypatch.setattr(config, "SECURITY", {"xpack.security.enabled": False})
    monkeypatch.setattr(local, "wait_until_ready", lambda url, check, *, login: wait_until_ready(url, check))
    info = up(chosen, kind="local", home=home)
    monkeypatch.undo()
    info.password_file.unlink()
    old = replace(info, user=None, password_file=None)
    write_state(chosen.cache_dir / "node", old)
    with connect(chosen)[0] as client:
        client.index(index="kept", id="1", document={"a": 1}, refresh=True)

    new = up(chosen.model_copy(update={"es_port": 1}))
    assert (new.url, new.data, new.kind) == (old.url, old.data, "local")
    assert not living(old.processes)
    assert httpx.get(f"{new.url}/kept/_doc/1", trust_env=False).status_code == 401
    answer = httpx.get(f"{new.url}/kept/_doc/1", trust_env=False, auth=get_in(new))
    assert answer.json()["_source"] == {"a": 1}
