"""A second node beside the one of the run: a real start and a real end."""

import os

import httpx
import psutil
import pytest

from core.node import down, status, up
from core.node.config import SYNONYMS
from core.node.state import living
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

    health = httpx.get(f"{info.url}/_cluster/health", trust_env=False).json()
    assert (health["cluster_name"], health["number_of_nodes"]) == ("bothways", 1)
    assert health["status"] in {"yellow", "green"}
    assert httpx.get(info.url, trust_env=False).json()["version"]["number"] == info.version

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

    check_synonyms(info.url)

    assert down(chosen)
    assert not living(info.processes)
    assert status(chosen) is None
    assert not down(chosen)
    assert all(psutil.pid_exists(pid) for pid in neighbours)


def check_synonyms(url):
    """The installed file can be used by an index as it is."""
    graph = {"type": "synonym_graph", "synonyms_path": SYNONYMS, "updateable": True}
    analyzer = {"tokenizer": "whitespace", "filter": ["known"]}
    body = {"settings": {"analysis": {"filter": {"known": graph}, "analyzer": {"search": analyzer}}}}
    body["mappings"] = {"properties": {"t": {"type": "text", "analyzer": "whitespace", "search_analyzer": "search"}}}
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        made = client.put("/synonyms-test", json=body)
        assert made.status_code == 200, made.text
        assert client.post("/synonyms-test/_reload_search_analyzers").status_code == 200
        assert client.delete("/synonyms-test").status_code == 200
