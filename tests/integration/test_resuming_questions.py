"""Questions are paid for once: a job that is killed, or whose language model goes away, does not ask again.

The job runs in a process of its own, so that it can be killed like one; the language model is a server of this test,
which counts what it is asked.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from bothways.indexer.doc2query.question_writer import QuestionWriter
from bothways.models.circuit import Circuit
from bothways.models.llm.answer_cache import AnswerCache
from bothways.models.llm.endpoint import EndpointModel
from bothways.models.llm.usage import Prices
from tests.llm_server import Scripted, completion

pytestmark = pytest.mark.elasticsearch

CONCURRENCY = 3
RECORDS = 40
JOB = """
import sys
from pathlib import Path

from bothways.core.analysis import Segmenter
from bothways.models.llm.answer_cache import AnswerCache
from bothways.node.connect import connect
from bothways.models.llm.endpoint import EndpointModel
from bothways.core.settings import load_settings
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions, Parts
from bothways.indexer.doc2query.question_writer import QuestionWriter
from tests.fakes import HashEncoder

folder, cache, collection, es_url, llm_url = sys.argv[1:]
client, server = connect(load_settings(es_url=es_url))
writer = QuestionWriter(EndpointModel(llm_url, model="m"), AnswerCache(Path(cache) / "answers.sqlite"), 2)
parts = Parts(
    client=client, server=server, segmenter=Segmenter(cache_dir=Path(cache)), encoder=HashEncoder,
    embedding_model="fake/hash", writer=writer,
)
report = index_path(Path(folder), JobOptions(collection=collection, concurrency=3), parts)
print(report.llm_calls, report.llm_cached, report.succeeded)
"""


def number(request):
    return int(re.search(r"第(\d+)号规定", request["messages"][0]["content"]).group(1))


def questions(request):
    n = number(request)
    body = completion(json.dumps({"questions": [f"{n}号文件管什么事", f"违反第{n}条有何后果"]}))
    return 200, body | {"usage": {"prompt_tokens": 100, "completion_tokens": 10}}


@pytest.fixture
def server():
    scripted = Scripted()
    scripted.script = [questions]
    yield scripted
    scripted.close()


@pytest.fixture
def records(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    lines = [json.dumps({"_id": f"r{n}", "text": f"第{n}号规定的内容。"}) for n in range(RECORDS)]
    (folder / "c.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def writer(server, tmp_path):
    opened = []

    def make():
        model = EndpointModel(server.url, model="m", max_retries=0, circuit=Circuit(limit=2, pause_s=60))
        opened.append(QuestionWriter(model, AnswerCache(tmp_path / "answers.sqlite"), 2))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_a_job_that_is_killed_pays_for_nothing_twice_but_what_was_in_flight(
    server, records, tmp_path, collection, es_url, stored
):
    reached = threading.Event()

    def until(request):
        if len(server.requests) == 15:
            reached.set()
        if len(server.requests) >= 15:
            server.release.wait(10)  # answers to the 15th and the two beside it never come
        return questions(request)

    server.script = [until]
    command = [sys.executable, "-c", JOB, *map(str, (records, tmp_path, collection, es_url, server.url))]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as job:
        assert reached.wait(60)
        job.send_signal(signal.SIGKILL)
    before = [number(request) for request in server.requests]
    assert len(before) <= 14 + CONCURRENCY

    server.release.set()
    server.script = [questions]
    again = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True, timeout=120)
    calls, cached, succeeded = again.stdout.split()[-3:]
    asked = Counter(number(request) for request in server.requests)
    twice = [n for n, times in asked.items() if times > 1]
    assert len(asked) == RECORDS
    assert len(twice) <= CONCURRENCY
    assert max(asked.values()) <= 2
    assert (int(calls) + int(cached), succeeded) == (RECORDS, "True")
    assert int(cached) >= 15 - CONCURRENCY
    chunks = stored()
    assert len(chunks) == RECORDS
    assert all(len(chunk["questions"]) == 2 for chunk in chunks.values())


def test_an_outage_costs_the_questions_and_the_next_run_asks_for_those_alone(server, records, build, writer, stored):
    server.script = [lambda request: questions(request) if len(server.requests) <= 10 else (503, {})]
    first = build(records, writer=writer(), concurrency=1)
    assert (first.indexed, first.questions, first.succeeded) == (RECORDS, 20, False)
    assert {failure.stage for failure in first.failures} == {"expand"}
    assert len(first.failures) == 30
    assert sum(chunk["generation"] == "failed" for chunk in stored().values()) == 30
    assert len(server.requests) == 12  # two failures in a row: then nobody is asked any more

    server.requests.clear()
    server.script = [questions]
    second = build(records, writer=writer())
    assert (second.changed, second.unchanged, second.llm_calls, second.succeeded) == (30, 10, 30, True)
    assert len(server.requests) == 30
    assert all(len(chunk["questions"]) == 2 for chunk in stored().values())


def test_refused_chunks_are_marked_and_asked_again_on_request_alone(server, records, build, writer, stored):
    server.script = [lambda request: (404, {}) if number(request) in {7, 8} else questions(request)]
    first = build(records, writer=writer())
    assert (first.refused, first.indexed, first.succeeded) == (2, RECORDS, True)
    assert stored()["r7-0"]["questions"] == []
    server.requests.clear()
    server.script = [questions]
    assert build(records, writer=writer()).llm_calls == 0
    retried = build(records, writer=writer(), retry_failed=True)
    assert (retried.changed, retried.llm_calls, retried.refused) == (2, 2, 0)
    assert sorted(number(request) for request in server.requests) == [7, 8]
    assert len(stored()["r7-0"]["questions"]) == 2


def test_tokens_and_cost_are_reported_and_guessed_by_a_dry_run(server, records, build, writer):
    prices = Prices(prompt=1.0, completion=10.0)
    planned = build(records, writer=writer(), dry_run=True, prices=prices)
    assert server.requests == []
    assert planned.llm_calls == RECORDS
    assert planned.llm_completion_tokens == RECORDS * 2 * 24
    assert planned.llm_prompt_tokens > RECORDS * 300
    expected = (planned.llm_prompt_tokens + 10 * planned.llm_completion_tokens) / 1_000_000
    assert planned.llm_cost == pytest.approx(expected)

    report = build(records, writer=writer(), prices=prices)
    assert (report.llm_prompt_tokens, report.llm_completion_tokens, report.llm_uncounted) == (4000, 400, 0)
    assert report.llm_cost == pytest.approx((4000 + 10 * 400) / 1_000_000)
    assert build(records, writer=writer()).llm_cost is None
