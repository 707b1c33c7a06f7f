import json
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bothways.core.errors import LLMError, LLMUnavailableError
from bothways.models.circuit import Circuit
from bothways.models.llm.endpoint import EndpointModel
from bothways.models.llm.usage import TokenUsage
from tests.llm_server import Scripted, completion

SCHEMA = {"type": "object", "properties": {"questions": {"type": "array", "items": {"type": "string"}}}}
REPLAY = Path(__file__).parents[3].parent / "shared" / "tools" / "replay_llm.py"


@pytest.fixture
def server():
    scripted = Scripted()
    yield scripted
    scripted.close()


@pytest.fixture
def model(server):
    models = []

    def make(**options):
        options = {"model": "m", "first_wait_s": 0.01, "timeout_s": 5.0} | options
        models.append(EndpointModel(options.pop("base_url", server.url), **options))
        return models[-1]

    yield make
    for one in models:
        one.close()


@pytest.fixture
def dead_url():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return f"http://127.0.0.1:{port}/v1"


OK = (200, completion("答"))
BUSY = (503, {"error": {"message": "overloaded"}})


def test_an_answer_and_what_was_asked(server, model):
    server.script = [(200, completion("<think>hm</think>\n 答 "))]
    assert model(api_key="hush").generate("问") == "答"
    assert server.requests == [{"messages": [{"role": "user", "content": "问"}], "model": "m"}]
    assert server.keys == ["Bearer hush"]


def test_no_key_is_the_key_none(server, model):
    server.script = [OK]
    model().generate("问")
    assert server.keys == ["Bearer none"]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_what_passes_is_tried_again(server, model, status):
    server.script = [(status, {"error": {"message": "not now"}}), BUSY, OK]
    assert model().generate("问") == "答"
    assert len(server.requests) == 3


def test_the_wait_that_the_endpoint_asks_for_is_kept(server, model):
    server.script = [(429, {}, {"Retry-After": "0.4"}), OK]
    started = time.monotonic()
    assert model().generate("问") == "答"
    assert time.monotonic() - started >= 0.4


def test_a_date_to_wait_for_is_understood_and_a_far_one_ends_it(server, model):
    server.script = [(429, {}, {"Retry-After": formatdate(time.time() - 5, usegmt=True)}), OK]
    assert model().generate("问") == "答"
    server.script = [(429, {}, {"Retry-After": formatdate(time.time() + 3600, usegmt=True)})]
    with pytest.raises(LLMUnavailableError, match="after 1 attempt "):
        model().generate("问")


def test_overload_after_all_retries_names_address_and_setting(server, model):
    server.script = [BUSY]
    with pytest.raises(LLMUnavailableError, match=r"3 attempts.*503: overloaded.*BOTHWAYS_LLM_CONCURRENCY") as caught:
        model(max_retries=2).generate("问")
    assert server.url in str(caught.value)
    assert len(server.requests) == 3


def test_a_used_up_quota_is_not_tried_again(server, model):
    server.script = [(429, {"error": {"message": "pay first", "code": "insufficient_quota"}})]
    with pytest.raises(LLMUnavailableError, match="pay first"):
        model().generate("问")
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_said_without_the_key(server, model, status):
    server.script = [(status, {"error": {"message": "wrong key: sk-hush"}})]
    with pytest.raises(LLMUnavailableError, match="BOTHWAYS_LLM_API_KEY") as caught:
        model(api_key="sk-hush").generate("问")
    assert "hush" not in str(caught.value)
    assert len(server.requests) == 1


def test_a_password_in_the_address_is_not_shown(server, model):
    server.script = [(401, {})]
    with pytest.raises(LLMUnavailableError) as caught:
        model(base_url=server.url.replace("//", "//user:hush@")).generate("问")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, {"error": {"message": "no recording"}}), "404: no recording.*BOTHWAYS_LLM_MODEL"),
        ((400, {"error": {"message": "too long\nby far"}}), "400: too long by far"),
        ((418, b"<html>teapot</html>"), "418"),
        ((200, completion("")), "empty"),
        ((200, completion(None)), "empty"),
        ((200, completion("<think>only thoughts</think>")), "empty"),
        ((200, completion("half an ans", "length")), "cut off"),
        ((200, completion(None, "content_filter")), "content filter"),
        ((200, completion(None, refusal="I will not")), "content filter"),
    ],
)
def test_an_unusable_answer_is_an_llm_error_at_once(server, model, answer, message):
    server.script = [answer]
    with pytest.raises(LLMError, match=message) as caught:
        model().generate("问")
    assert not isinstance(caught.value, LLMUnavailableError)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"{not json"),
        (200, b"<html>welcome</html>", {"Content-Type": "text/html"}),
        (200, {"hello": "world"}),
        (200, {"choices": []}),
        (200, {"choices": "none"}),
        (200, {"choices": [None]}),
        (200, {"choices": [{"message": {"content": 7}}]}),
        (200, ["what"]),
    ],
)
def test_what_is_no_chat_completion_says_nothing_about_the_prompt(server, model, answer):
    server.script = [answer]
    with pytest.raises(LLMUnavailableError, match="not a chat completion"):
        model().generate("问")
    assert len(server.requests) == 1


def test_a_schema_goes_along(server, model):
    server.script = [(200, completion('{"questions": []}'))]
    model().generate("问", json_schema=SCHEMA)
    assert server.requests[0]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
    }


@pytest.mark.parametrize("status", [400, 422])
def test_an_endpoint_that_refuses_schemas_is_asked_without_from_then_on(server, model, status):
    server.script = [lambda r: (status, {"error": {"message": "what?"}}) if "response_format" in r else OK]
    asked = model()
    with capture_logs() as logs:
        assert [asked.generate("问", json_schema=SCHEMA) for _ in range(3)] == ["答"] * 3
    assert ["response_format" in request for request in server.requests] == [True, False, False, False]
    assert [entry["event"] for entry in logs] == ["llm.no_json_schema"]


def test_a_request_that_is_wrong_either_way_does_not_give_up_schemas(server, model):
    server.script = [(400, {"error": {"message": "too long"}})]
    asked = model()
    with pytest.raises(LLMError, match="too long"):
        asked.generate("问", json_schema=SCHEMA)
    server.script = [OK]
    asked.generate("问", json_schema=SCHEMA)
    assert "response_format" in server.requests[-1]


def test_without_a_name_the_first_listed_model_is_used(server, model):
    server.script = [OK]
    asked = model(model=None)
    assert server.models_asked == 0
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(asked.generate, ["问"] * 8))
    assert asked.name == "first"
    assert server.models_asked == 1
    assert {request["model"] for request in server.requests} == {"first"}


def test_an_endpoint_without_models_says_so(server, model):
    server.models = []
    with pytest.raises(LLMError, match="lists no model; set BOTHWAYS_LLM_MODEL"):
        model(model=None).generate("问")


def test_a_hanging_endpoint_is_given_up_within_the_callers_time(server, model):
    server.script = ["hang"]
    started = time.monotonic()
    with pytest.raises(LLMUnavailableError, match=r"within 0\.2 s\."):
        model().generate("问", timeout_s=0.2)
    assert time.monotonic() - started < 1.0
    assert len(server.requests) == 1


def test_a_hanging_endpoint_is_given_up_within_the_set_time(server, model):
    server.script = ["hang"]
    with pytest.raises(LLMUnavailableError, match=r"within 0\.2 s \(BOTHWAYS_LLM_TIMEOUT_S\)"):
        model(timeout_s=0.2).generate("问")


def test_no_retry_waits_past_the_callers_time(server, model):
    server.script = [(429, {}, {"Retry-After": "60"})]
    started = time.monotonic()
    with pytest.raises(LLMUnavailableError):
        model().generate("问", timeout_s=1.0)
    assert time.monotonic() - started < 1.0


def test_nobody_there_is_said_with_address_and_setting(model, dead_url):
    with pytest.raises(LLMUnavailableError, match=r"refused.*BOTHWAYS_LLM_BASE_URL") as caught:
        model(base_url=dead_url, max_retries=1).generate("问")
    assert dead_url in str(caught.value)


def test_a_dead_endpoint_is_soon_not_asked_any_more(model, dead_url):
    asked = model(base_url=dead_url, first_wait_s=0.02)
    started = time.monotonic()
    with capture_logs() as logs, ThreadPoolExecutor(4) as pool:
        errors = list(pool.map(lambda _: refused(asked), range(2000)))
    assert time.monotonic() - started < 10.0  # each would take 0.3 s of back-off: 150 s in all
    assert "was down a moment ago" in errors[-1]
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["llm.down"]


def refused(asked):
    with pytest.raises(LLMUnavailableError) as caught:
        asked.generate("问")
    return str(caught.value)


def test_after_the_pause_one_tries_and_opens_the_way_again(server, model):
    server.script = [BUSY]
    asked = model(max_retries=0, circuit=Circuit(limit=2, pause_s=0.2))
    for _ in range(5):
        refused(asked)
    assert len(server.requests) == 2
    time.sleep(0.25)
    refused(asked)
    assert len(server.requests) == 3
    refused(asked)
    assert len(server.requests) == 3
    server.script = [OK]
    time.sleep(0.25)
    assert [asked.generate("问") for _ in range(3)] == ["答"] * 3


def test_failures_that_are_not_in_a_row_do_not_count(server, model):
    server.script = [BUSY, OK, BUSY, (404, {}), BUSY, OK]
    asked = model(max_retries=0, circuit=Circuit(limit=2, pause_s=60))
    for _ in range(6):
        try:
            asked.generate("问")
        except LLMError:
            pass
    assert asked.generate("问") == "答"


def test_a_callers_own_short_time_does_not_make_the_endpoint_count_as_down(server, model):
    server.script = ["hang"]
    asked = model(circuit=Circuit(limit=1, pause_s=60))
    with pytest.raises(LLMUnavailableError):
        asked.generate("问", timeout_s=0.1)
    server.script = [OK]
    assert asked.generate("问") == "答"


def test_closing_ends_a_long_wait(server, model):
    server.script = [(429, {}, {"Retry-After": "60"})]
    asked = model()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(asked.generate, "问")
        while not server.requests:
            time.sleep(0.01)
        time.sleep(0.05)
        asked.close()
        with pytest.raises(LLMUnavailableError, match="closed"):
            waiting.result(timeout=2)
    with pytest.raises(LLMUnavailableError, match="closed"):
        asked.generate("问")


def test_tokens_are_added_up_as_the_endpoint_counts_them(server, model):
    counted = {"usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}}
    server.script = [
        (200, completion("答") | counted),
        BUSY,
        (200, completion("half an ans", "length") | counted),  # unusable, and paid for all the same
        OK,
        (200, completion("答") | {"usage": {"prompt_tokens": "many"}}),
    ]
    asked = model()
    assert asked.usage == TokenUsage()
    asked.generate("问")
    with pytest.raises(LLMError, match="cut off"):
        asked.generate("问")
    asked.generate("问")
    asked.generate("问")
    assert asked.usage == TokenUsage(prompt=200, completion=14, uncounted=2)


def test_no_more_requests_a_minute_than_set_retries_included(server, model):
    server.script = [BUSY, OK]
    asked = model(per_minute=600)  # one every 0.1 s
    started = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(asked.generate, ["问"] * 4)) == ["答"] * 4
    assert len(server.requests) == 5
    assert time.monotonic() - started >= 0.4


def test_a_turn_after_the_deadline_is_refused_at_once_and_says_nothing_about_the_endpoint(server, model):
    server.script = [OK]
    asked = model(per_minute=1, model=None, circuit=Circuit(limit=1, pause_s=60))  # asking for its name is no turn
    assert asked.generate("问") == "答"
    started = time.monotonic()
    for _ in range(2):
        with pytest.raises(LLMUnavailableError, match="BOTHWAYS_LLM_REQUESTS_PER_MINUTE"):
            asked.generate("问", timeout_s=5.0)
    assert time.monotonic() - started < 1.0
    assert len(server.requests) == 1


def test_closing_ends_the_wait_for_a_turn(server, model):
    server.script = [OK]
    asked = model(per_minute=1)
    asked.generate("问")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(asked.generate, "问")
        asked.close()
        with pytest.raises(LLMUnavailableError, match="closed"):
            waiting.result(timeout=2)
    assert len(server.requests) == 1


@pytest.fixture(scope="module")
def replay_url(tmp_path_factory):
    if not REPLAY.exists():
        pytest.skip("the replay server is not here")
    process = subprocess.Popen(
        [sys.executable, str(REPLAY), "--port", "0", "--fail-every", "3"], stdout=subprocess.PIPE, text=True
    )
    with process:
        yield re.search(r"http\S+", process.stdout.readline()).group()
        process.terminate()


def test_against_the_replay_server(replay_url, model):
    asked = model(base_url=replay_url, model=None)
    assert asked.name == "replay"
    passage = "民法调整平等主体的自然人、法人和非法人组织之间的人身关系和财产关系。"
    for _ in range(4):
        assert len(json.loads(asked.generate(f"问题：{passage}", json_schema=SCHEMA))["questions"]) == 5
    assert len(asked.generate(passage).splitlines()) == 5
    with pytest.raises(LLMError, match="no recording"):
        asked.generate("完全没有记录的话")
