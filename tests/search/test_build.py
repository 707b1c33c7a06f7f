from __future__ import annotations

import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bothways.core.errors import LLMUnavailableError, UsageError
from bothways.core.settings import load_settings
from bothways.search.build import build_rewriter, build_searcher


class Silent(BaseHTTPRequestHandler):
    """Takes every request and answers none until it is let go."""

    go = threading.Event()

    def do_POST(self):
        self.go.wait(10)

    def log_message(self, *_):
        pass


@pytest.fixture
def silent():
    Silent.go.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        Silent.go.set()
        server.shutdown()


def test_no_language_model_no_rewriter(tmp_path):
    assert build_rewriter(load_settings(cache_dir=tmp_path)) is None


def test_a_silent_endpoint_is_waited_for_no_longer_than_the_deadline(tmp_path, silent):
    rewriter = build_rewriter(load_settings(cache_dir=tmp_path, llm_base_url=silent, llm_model="m", llm_timeout_s=1))
    start = time.monotonic()
    with pytest.raises(LLMUnavailableError, match="within 50 ms"):
        rewriter.rewrite("问", deadline_s=0.05)
    assert time.monotonic() - start < 1


def test_a_program_ends_while_the_language_model_is_still_busy(tmp_path, silent):
    program = (
        "from bothways.core.settings import load_settings\n"
        "from bothways.search.build import build_rewriter\n"
        f"settings = load_settings(cache_dir={str(tmp_path)!r}, llm_base_url={silent!r}, llm_model='m')\n"
        "try:\n    build_rewriter(settings).rewrite('问', deadline_s=0.05)\n"
        "except Exception as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=9, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "within 50 ms" in done.stdout


def test_a_bad_file_of_pseudo_documents_is_told_before_anything_else(tmp_path):
    (tmp_path / "bad.jsonl").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match=r"bad\.jsonl, line 1"):
        build_searcher(load_settings(es_url="http://127.0.0.1:9"), rewrites=tmp_path / "bad.jsonl")


def test_the_deadline_is_a_setting():
    assert load_settings().search.rewrite_deadline_ms == 300
    assert load_settings(rewrite_deadline_ms=50).search.rewrite_deadline_ms == 50
