"""`bothways ask` as it is typed, with a real Elasticsearch and a scripted language model."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from tests.fakes import make_parts
from tests.llm_server import Scripted, Streamed, completion

pytestmark = pytest.mark.elasticsearch

ROWS = [
    {"_id": "leave", "title": "请假", "text": "员工请假应当提前三天提交申请。"},
    {"_id": "refund", "title": "退货", "text": "签收后七天内可以无理由退货。"},
]


@pytest.fixture
def filled(es, segmenter, collection, tmp_path):
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    assert index_path(
        tmp_path,
        JobOptions(collection=collection),
        make_parts(es, segmenter),
    ).succeeded
    return collection


@pytest.fixture
def llm():
    scripted = Scripted()
    yield scripted
    scripted.close()


@pytest.fixture
def ask(run, filled, llm):
    """Type `bothways ask`."""

    def typed(*words, **environment):
        settings = {
            "BOTHWAYS_EMBEDDING_MODEL": "fake/hash", "BOTHWAYS_LLM_BASE_URL": llm.url, "BOTHWAYS_LLM_MODEL": "m",
            "BOTHWAYS_FIXED": '{"llm_max_retries": 0}',
        }  # fmt: skip
        return run("ask", *words, "-c", filled, "--strategy", "bm25", **(settings | environment))

    return typed


def test_an_answer_and_its_sources(ask, llm):
    llm.script = [Streamed(("提前三天", "[1]，见[9]", "。"))]
    code, out, err = ask("员工请假提前几天")
    assert code == 0
    assert out == "提前三天[1]，见。\n[1] 请假  c.jsonl\n"
    assert "1 citations named no passage" in err


def test_an_answer_without_citations_comes_with_the_passages(ask, llm):
    llm.script = [Streamed(("提前三天。",))]
    _, out, err = ask("员工请假提前几天")
    assert out == "提前三天。\n[1] 请假  c.jsonl\n    员工请假应当提前三天提交申请。\n"
    assert "check it against the passages" in err


def test_json_is_what_rest_answers(ask, llm):
    llm.script = [(200, completion("提前三天[1]。"))]
    code, out, err = ask("员工请假提前几天", "--json", "--top-k", "1")
    body = json.loads(out)
    assert (code, err, body["answer"], body["citations"][0]["doc_id"]) == (0, "", "提前三天[1]。", "leave")


def test_without_a_model_the_passages_and_why(ask):
    code, out, err = ask("员工请假提前几天", BOTHWAYS_LLM_BASE_URL="")
    assert code == 0
    assert out == "[1] 请假  c.jsonl\n    员工请假应当提前三天提交申请。\n"
    assert "BOTHWAYS_LLM_BASE_URL" in err


def test_what_is_wrong_is_one_line(ask, run):
    assert ask("几天", "--filter", "nonsense")[0] == 2
    code, _, err = run("ask", "几天", "-c", "no-such-thing", BOTHWAYS_EMBEDDING_MODEL="fake/hash")
    assert (code, err.count("\n")) == (1, 1)


def test_control_characters_of_a_model_are_shown_and_not_obeyed(ask, llm):
    llm.script = [Streamed(("\x1b[2J提前三天[1]",))]
    assert ask("员工请假提前几天")[1].startswith("\\x1b[2J提前三天[1]\n")


def test_a_conversation_through_a_pipe(ask, llm, monkeypatch):
    def model(request):
        prompt = request["messages"][0]["content"]
        if "conversation-" in prompt:
            assert "提前三天" in prompt
            return (200, completion("退货要在几天内"))
        return Streamed(("七天[1]",) if "退货要在" in prompt else ("提前三天[1]",))

    llm.script = [model]
    monkeypatch.setattr("sys.stdin", io.StringIO("员工请假提前几天\n\n  \n那退货呢\n"))
    code, out, _ = ask()
    assert code == 0
    assert out == "提前三天[1]\n[1] 请假  c.jsonl\n七天[1]\nunderstood as: 退货要在几天内\n[1] 退货  c.jsonl\n"


def test_a_question_that_fails_does_not_end_a_pipe(ask, llm, monkeypatch):
    llm.script = [Streamed(("提前三天[1]",))]
    monkeypatch.setattr("sys.stdin", io.StringIO("x" * 11_000 + "\n员工请假提前几天\n"))
    code, out, err = ask("--json")
    assert (code, json.loads(out)["answer"]) == (1, "提前三天[1]")
    assert "at most 10000" in err


def test_ctrl_c_ends_an_answer_and_ctrl_d_the_conversation(filled, llm, es_url):
    """On a real terminal: the first answer is interrupted, the second one comes, Ctrl-D ends it with 0."""
    llm.script = [Streamed(("开始",) + ("等",) * 1000, gap_s=0.05), Streamed(("七天[1]",))]
    terminal, theirs = pty.openpty()
    command = [
        sys.executable,
        "-c",
        "from bothways.cli.main import main; main()",
        "ask",
        "-c",
        filled,
        "--strategy",
        "bm25",
    ]
    environment = os.environ | {
        "BOTHWAYS_ES_URL": es_url, "BOTHWAYS_EMBEDDING_MODEL": "fake/hash", "BOTHWAYS_LLM_BASE_URL": llm.url,
        "BOTHWAYS_LLM_MODEL": "m", "PYTHONPATH": ".",
        "BOTHWAYS_FIXED": '{"llm_max_retries": 0, "ask_history_turns": 0}',
    }  # fmt: skip
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background run ignores it
    )
    os.close(theirs)
    seen = ""

    def until(text, within_s=120):
        nonlocal seen
        end = time.monotonic() + within_s
        while text not in seen and time.monotonic() < end:
            if select.select([terminal], [], [], 1.0)[0]:
                seen += os.read(terminal, 4096).decode(errors="replace")
        assert text in seen, seen
        seen = seen.partition(text)[2]

    try:
        until("? ")
        os.write(terminal, "员工请假提前几天\n".encode())
        until("开始等")
        os.kill(process.pid, signal.SIGINT)
        until("(interrupted)")
        until("? ")
        os.write(terminal, "几天内退货\n".encode())
        until("七天[1]")
        until("[1] 退货")
        until("? ")
        os.write(terminal, b"\x04")
        assert process.wait(60) == 0
        assert (llm.cut, llm.writing) == (1, 0)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
