"""A session of indexing, searching and asking writes in its own folders alone and speaks to nobody else's host."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bothways.core.machine.telemetry import OFF
from tests.llm_server import Scripted, Streamed, completion
from tests.strace import traced

ROOT = Path(__file__).parents[2]

SESSION = """
import json, subprocess, sys
typed = [sys.executable, "-c", "from bothways.cli.main import main; main()"]
collection, docs = sys.argv[1:]
for words in (["index", docs], ["search", "请假提前几天"], ["ask", "请假提前几天"]):
    subprocess.run([*typed, *words, "-c", collection], check=True)
from fastapi.testclient import TestClient
import bothways.cli.main
from bothways.api.app import create_app
from bothways.core.settings import load_settings
with TestClient(create_app(load_settings()), base_url="http://127.0.0.1") as http:
    for path in ("search", "ask"):
        answer = http.post("/api/v1/" + path, json={"query": "请假提前几天", "collection": collection})
        assert answer.status_code == 200, answer.text
        assert "text_sem" not in answer.json()["degraded"], answer.text
"""


@pytest.mark.elasticsearch
def test_a_session_writes_in_its_own_folders_and_speaks_to_its_own_servers(
    es_url, collection, packaged_cache, tmp_path
):
    for name in ("home", "work", "docs", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "docs" / "leave.txt").write_text("员工请假应当提前三天提交申请。", encoding="utf-8")
    llm = Scripted()
    written_questions = (200, completion('{"questions": ["多久以前要说不来上班"]}'))
    llm.script = [lambda asked: written_questions if "response_format" in asked else Streamed(("提前三天[1]。",))]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BOTHWAYS_") and name not in OFF}
    environment = kept | {
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "tmp"),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        **{name: value for name, value in os.environ.items() if name in {"BOTHWAYS_ES_USER", "BOTHWAYS_ES_PASSWORD"}},
        "BOTHWAYS_ES_URL": es_url,
        "BOTHWAYS_CACHE_DIR": str(packaged_cache),
        "BOTHWAYS_LLM_BASE_URL": llm.url,
        "BOTHWAYS_LLM_MODEL": "m",
        "BOTHWAYS_QUESTIONS_PER_CHUNK": "1",
        "BOTHWAYS_FIXED": '{"encode_timeout_ms": 60000}',  # strace takes its time
    }
    for name in [name for name in environment if name.startswith("XDG_")]:
        del environment[name]
    try:
        told, written, spoken_to = traced(
            [sys.executable, "-c", SESSION, collection, tmp_path / "docs"],
            tmp_path / "strace.txt",
            env=environment,
            cwd=tmp_path / "work",
        )
    finally:
        llm.close()
    assert told.returncode == 0, told.stderr
    assert list((tmp_path / "home").rglob("*")) == list((tmp_path / "work").rglob("*")) == []
    ours = (str(packaged_cache.resolve()), str(tmp_path / "tmp"), "/dev/", "/proc/")
    assert [path for path in sorted(written) if not path.startswith(ours)] == []
    es_host = urlsplit(es_url).hostname
    strangers = {(at, port) for at, port in spoken_to if not ipaddress.ip_address(at).is_loopback and at != es_host}
    assert strangers == set()
    assert {port for _, port in spoken_to} >= {urlsplit(es_url).port}, "strace saw what the session spoke to"


@pytest.mark.parametrize(
    "room",
    [
        "bothways.core",
        "bothways.indexer.job",
        "bothways.search.pipeline",
        "bothways.learning.synonyms.build",
        "bothways.api.app",
        "bothways.cli.main",
    ],
)
def test_every_room_switches_it_off_before_a_library_is_loaded(room):
    watch = (
        "import sys, os, json\n"
        "class Watch:\n"
        "    seen = {}\n"
        "    def find_spec(self, name, *_):\n"
        "        if name in {'onnxruntime', 'huggingface_hub', 'ray', 'transformers', 'openvino'}:\n"
        "            self.seen[name] = {k: os.environ.get(k) for k in json.loads(sys.argv[1])}\n"
        "sys.meta_path.insert(0, Watch())\n"
        f"import {room}\n"
        "import onnxruntime, huggingface_hub\n"
        "print(json.dumps(Watch.seen))\n"
    )
    loose = {"ORT_DISABLE_TELEMETRY": "0", "RAY_USAGE_STATS_ENABLED": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", watch, json.dumps([*OFF, "HF_HUB_OFFLINE"])],
        env={**os.environ, "PYTHONPATH": str(ROOT), **loose},
        capture_output=True,
        text=True,
        check=True,
    )
    seen = json.loads(done.stdout)
    assert {"onnxruntime", "huggingface_hub"} <= seen.keys()
    assert all(found == OFF | {"HF_HUB_OFFLINE": "1"} for found in seen.values())


def test_plots_keep_their_fonts_with_all_else_of_ours(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MPL"))}
    subprocess.run(
        [
            sys.executable,
            "-c",
            "from bothways.evaluation.report.plots import _figure\nwith _figure('x') as made: made.subplots()",
        ],
        env=environment
        | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "BOTHWAYS_CACHE_DIR": str(tmp_path / "cache" / "bothways")},
        check=True,
        cwd=tmp_path,
    )
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    assert list((tmp_path / "cache" / "bothways" / "matplotlib").glob("fontlist*"))
