"""`bothways search` where a server runs: it is asked instead of loading models, and the answer is the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress

import httpx
import pytest

from tests.run_node import free_port

pytestmark = pytest.mark.elasticsearch

SERVE = [sys.executable, "-c", "from bothways.cli.main import main; main()", "serve", "--port"]


@pytest.fixture
def filled(run, collection, tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "leave.md").write_text("# 年假\n\n## 天数\n\n工作满一年的员工享有五天带薪年休假。\n", encoding="utf-8")
    (docs / "pay.txt").write_text("工资于每月十日发放，遇节假日提前。", encoding="utf-8")
    assert run("index", docs, "-c", collection, "--no-questions")[0] == 0
    return collection


@pytest.fixture
def served(filled, es_url):
    """The address of a server in a process of its own, with the settings that commands are typed with."""
    started = []

    def start(**environment):
        port = free_port()
        server = subprocess.Popen([*SERVE, str(port)], env={**os.environ, "BOTHWAYS_ES_URL": es_url, **environment})
        started.append(server)
        for _ in range(600):
            with suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}/health/ready").is_success:
                    break
            assert server.poll() is None
            time.sleep(0.1)
        return f"http://127.0.0.1:{port}"

    yield start
    for server in started:
        server.terminate()
        server.wait()


@pytest.fixture
def nothing_is_loaded(monkeypatch):
    """Have a search in this process fail."""

    def forbid():
        def refuse(*_, **__):
            raise AssertionError("models are loaded here")

        monkeypatch.setattr("bothways.search.build.build_searcher", refuse)

    return forbid


def _same(printed):
    answer = json.loads(printed)
    del answer["query_id"], answer["timings_ms"]
    return answer


OPTIONS = [
    [],
    ["--strategy", "bm25", "--explain", "--highlight", "--context", "1", "--facet", "source"],
    [
        "--strategy",
        "hybrid",
        "--filter",
        "source=leave.md",
        "--top-k",
        "1",
        "--rank-window-size",
        "7",
        "--no-self-query",
    ],
]


def test_a_server_answers_as_this_process_does(run, filled, served, nothing_is_loaded):
    here = [_same(run("search", "发工资是哪天", "-c", filled, "--json", *options)[1]) for options in OPTIONS]
    shown = run("search", "发工资是哪天", "-c", filled, "--explain", "--strategy", "bm25")[1]
    assert here[0]["hits"][0]["source"] == "pay.txt"
    missing = run("search", "q", "-c", "no-such-collection")
    url = served()
    by_note = run("search", "q", "-c", "no-such-collection")
    assert by_note == missing

    nothing_is_loaded()
    assert [_same(run("search", "发工资是哪天", "-c", filled, "--json", *each)[1]) for each in OPTIONS] == here
    code, out, _ = run("search", "发工资是哪天", "-c", filled, "--explain", "--strategy", "bm25")
    assert (code, out.splitlines()[:-1]) == (0, shown.splitlines()[:-1])
    code, out, err = run("search", "q", "-c", "no-such-collection", BOTHWAYS_SERVER_URL=url)
    assert (code, out) == (1, "")
    assert "There is no collection 'no-such-collection'" in err
    # Other settings would search otherwise, and a user of other groups sees less: both are searched for here.
    for other, environment in (["--as-groups", "hr"], {}), ([], {"BOTHWAYS_LEG_K": "9"}):
        code, _, err = run("search", "发工资", "-c", filled, *other, **environment, BOTHWAYS_SERVER_URL="")
        assert (code, "models are loaded here" in err) == (1, True)


def test_a_key_goes_to_the_server_that_it_is_set_for_alone(run, filled, served, nothing_is_loaded):
    url = served(BOTHWAYS_API_KEYS="a" * 32)
    # The noted server wants a key, gets none, and the search is made here.
    assert run("search", "工资", "-c", filled, "--strategy", "bm25", BOTHWAYS_SERVER_API_KEY="a" * 32)[0] == 0
    nothing_is_loaded()
    typed = ("search", "工资", "-c", filled, "--strategy", "bm25", "--json")
    code, out, _ = run(*typed, BOTHWAYS_SERVER_URL=url, BOTHWAYS_SERVER_API_KEY="a" * 32)
    assert (code, json.loads(out)["hits"][0]["source"]) == (0, "pay.txt")
    code, _, err = run(*typed, BOTHWAYS_SERVER_URL=url, BOTHWAYS_SERVER_API_KEY="b" * 32)
    assert (code, "The server of BOTHWAYS_SERVER_URL" in err) == (1, True)
    assert "Traceback" not in err


def test_a_named_server_that_does_not_answer_is_an_error(run):
    code, _, err = run("search", "q", BOTHWAYS_SERVER_URL=f"http://127.0.0.1:{free_port()}")
    assert (code, "No server answers" in err) == (1, True)
