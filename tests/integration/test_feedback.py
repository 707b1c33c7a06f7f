"""Feedback from the API to Elasticsearch: recorded once, lost by no restart, and never in the way of a search."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from datetime import UTC, datetime

import httpx
import pytest
from fastapi.testclient import TestClient

from bothways.api.app import create_app
from bothways.core.errors import ElasticsearchUnavailableError
from bothways.core.settings import load_settings
from bothways.indexer.job import index_path
from bothways.indexer.parts import JobOptions
from bothways.learning.feedback.recorder import Recorder
from bothways.learning.feedback.rows import Row, at
from bothways.learning.feedback.spool import Spool, refused_in
from bothways.learning.feedback.store import FeedbackStore
from bothways.learning.feedback.wording import Wording
from bothways.node.connect import connect
from bothways.search.pipeline import Searcher
from tests.es_proxy import Proxy
from tests.fakes import Clock, HashEncoder, make_parts
from tests.run_node import free_port
from tests.waiting import until

pytestmark = pytest.mark.elasticsearch

ROWS = [
    {"_id": "leave", "title": "请假", "text": "员工请假应当提前三天提交申请。", "metadata": {"groups": ["hr"]}},
    {"_id": "refund", "title": "退货", "text": "签收后七天内可以无理由退货。", "metadata": {"groups": ["shop"]}},
]


@pytest.fixture
def filled(es, segmenter, collection, tmp_path):
    (tmp_path / "docs").mkdir()
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
    (tmp_path / "docs" / "c.jsonl").write_text(lines, "utf-8")
    assert index_path(
        tmp_path / "docs",
        JobOptions(collection=collection),
        make_parts(es, segmenter),
    ).succeeded
    return collection


@pytest.fixture
def make_app(es, segmenter, tmp_path):
    """An app with a cache folder, and so a spool, of its own."""

    def make(server=None, **options):
        client, told = server or es
        searcher = Searcher(client, segmenter, HashEncoder, embedding_model="fake/hash", timeout_ms=2000)
        chosen = load_settings(**{"feedback": True, "cache_dir": tmp_path / "cache"} | options)
        return create_app(chosen, lambda _: (searcher, told))

    return make


@pytest.fixture
def store(es):
    return FeedbackStore(es[0])


@pytest.fixture
def own_store(es):
    """A store with indices that no other test uses."""
    prefix = f"bothways-test-feedback-{uuid.uuid4().hex}"
    yield FeedbackStore(es[0], prefix=prefix)
    for index in es[0].indices.get(index=f"{prefix}-*").body:
        es[0].indices.delete(index=index)
    es[0].options(ignore_status=404).indices.delete_index_template(name=prefix)


def ask(http, collection, query="请假提前几天", **more):
    answer = http.post("/api/v1/search", json={"query": query, "collection": collection, "strategy": "hybrid", **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def send(http, query_id, chunk_id, action="click", **more):
    return http.post("/api/v1/feedback", json={"query_id": query_id, "chunk_id": chunk_id, "action": action}, **more)


def stored(es, store, collection):
    es[0].indices.refresh(index="bothways-feedback-*.*")
    return list(store.stream("query", collection=collection)), list(store.stream("event", collection=collection))


def test_a_search_and_a_click_end_in_elasticsearch(make_app, filled, store, es):
    with TestClient(make_app()) as http:
        body = ask(http, filled, top_k=2)
        first = body["hits"][0]
        answer = send(http, body["query_id"], first["chunk_id"])
        assert (answer.status_code, answer.content) == (202, b"")
    (query,), (event,) = stored(es, store, filled)
    assert query["query_id"] == event["query_id"] == body["query_id"]
    assert query["user_query"] == "请假提前几天"
    assert query["query_response_hit_ids"] == [hit["chunk_id"] for hit in body["hits"]]
    assert [hit["doc_id"] for hit in query["hits"]] == [hit["doc_id"] for hit in body["hits"]]
    assert set(query["hits"][0]["legs"]) <= {"bm25", "text_sem", "questions"}
    assert query["hits"][0]["legs"]["text_sem"] == 1
    assert query["query_attributes"]["timings_ms"]["total"] > 0
    assert event["action_name"] == "click"
    assert event["event_attributes"]["object"]["object_id"] == first["chunk_id"]
    assert event["event_attributes"]["position"]["ordinal"] == 1
    counts = store.counts(filled)
    assert (counts.queries, counts.events, counts.actions) == (1, 1, {"click": 1})
    assert store.last(size=1, collection=filled) == [event]


def test_the_fields_can_be_searched(make_app, filled, es):
    with TestClient(make_app()) as http:
        body = ask(http, filled)
    es[0].indices.refresh(index="bothways-feedback-*.*")
    for field, value in (
        ("query_id", body["query_id"]),
        ("query_attributes.strategy", "hybrid"),
        ("query_response_hit_ids", body["hits"][0]["chunk_id"]),
        ("user_query.keyword", "请假提前几天"),
        ("indexes", f"bothways-{filled}-v1"),
    ):
        query = {"bool": {"filter": [{"term": {"application": filled}}, {"term": {field: value}}]}}
        assert es[0].count(index="bothways-feedback-*.*", query=query)["count"] == 1, field


def test_a_segment_that_is_shipped_twice_is_there_once(make_app, filled, store, es, tmp_path):
    store.write([])
    now = time.time()
    rows = [Row(uuid.uuid4().hex, {"kind": "event", "application": filled, "timestamp": at(now)}) for _ in range(3)]
    for _ in range(2):
        assert store.write(rows) == []
    assert len(stored(es, store, filled)[1]) == 3


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"action": "look"}, 422, "action"),
        ({"action": None}, 422, "action"),
        ({"query_id": "x"}, 422, "query_id"),
        ({"query_id": "A" * 32}, 422, "query_id"),
        ({"query_id": "0" * 32 + "\n"}, 422, "query_id"),
        ({"chunk_id": ""}, 422, "chunk_id"),
        ({"chunk_id": "x" * 601}, 422, "chunk_id"),
        ({"who": "me"}, 422, "who"),
    ],
)
def test_bad_feedback_is_told_what_is_wrong(make_app, change, status, says):
    with TestClient(make_app()) as http:
        body = {"query_id": "0" * 32, "chunk_id": "a-0", "action": "click"} | change
        answer = http.post("/api/v1/feedback", json=body)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert says in answer.json()["detail"]


def test_half_surrogates_in_an_id_are_refused(make_app):
    body = '{"query_id": "%s", "chunk_id": "a\\ud800", "action": "click"}' % ("0" * 32)
    with TestClient(make_app()) as http:
        headers = {"content-type": "application/json"}
        assert http.post("/api/v1/feedback", content=body, headers=headers).status_code == 422


def test_switched_off_it_says_so_and_writes_nothing(make_app, filled, tmp_path):
    with TestClient(make_app(feedback=False)) as http:
        body = ask(http, filled)
        answer = send(http, body["query_id"], "a-0")
        assert answer.status_code == 409
        assert "BOTHWAYS_FEEDBACK" in answer.json()["detail"]
    assert not (tmp_path / "cache" / "feedback").exists()


def test_keys_with_groups_may_send_it_and_nobody_is_written_down(make_app, filled, store, es, tmp_path):
    keys = "".join(
        f'[[keys]]\nname = "{name}"\nsha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n{more}\n'
        for name, more in (("portal-key", 'groups = ["hr"]'), ("admin-key", "admin = true"))
    )
    (tmp_path / "keys.toml").write_text(keys)
    (tmp_path / "keys.toml").chmod(0o600)
    with TestClient(make_app(api_keys_file=tmp_path / "keys.toml")) as http:
        assert send(http, "0" * 32, "a-0").status_code == 401
        http.headers["X-API-Key"] = "portal-key"
        body = ask(http, filled)
        assert send(http, body["query_id"], body["hits"][0]["chunk_id"]).status_code == 202
    queries, events = stored(es, store, filled)
    assert (len(queries), len(events)) == (1, 1)
    for word in ("portal", "admin-key", '"hr"', hashlib.sha256(b"portal-key").hexdigest()):
        assert word not in json.dumps(queries + events)


@pytest.mark.parametrize("kept", ["hashed", "none"])
def test_the_words_of_a_question_are_kept_as_set(make_app, filled, store, es, tmp_path, kept):
    with TestClient(make_app(feedback_query_text=kept)) as http:
        for asked in ("请假提前几天？", "请假提前几天"):
            ask(http, filled, asked)
    segments = tmp_path / "cache" / "feedback"
    queries, _ = stored(es, store, filled)
    assert "请假" not in json.dumps(queries, ensure_ascii=False)
    asked = {query.get("user_query") for query in queries}
    assert len(queries) == 2
    assert len(asked) == 1
    assert (asked == {None}) == (kept == "none")
    assert (segments / "query-text.key").exists() == (kept == "hashed")


def test_elasticsearch_that_takes_no_feedback_changes_nothing_of_the_searches(
    make_app, filled, store, es, es_url, tmp_path
):
    """Bounded work, not time: while a shipment hangs, every search is answered and no second shipment is begun."""
    proxy = Proxy(es_url.rstrip("/"))
    client, server = connect(load_settings(es_url=proxy.url))
    proxy.hang.add("_bulk")
    try:
        with TestClient(make_app((client, server))) as http:
            answers = [ask(http, filled) for _ in range(10)]
            until(lambda: proxy.hung == 1)
            answers += [ask(http, filled) for _ in range(10)]
            sent = [send(http, one["query_id"], one["hits"][0]["chunk_id"]).status_code for one in answers]
            ids = [one["query_id"] for one in answers]
            assert sent == [202] * 20
            assert proxy.hung == 1
            assert stored(es, store, filled) == ([], [])
            lines = sum(path.read_bytes().count(b"\n") for path in (tmp_path / "cache/feedback").glob("*.jsonl"))
            assert lines == 40
            proxy.hang.clear()
            proxy.release.set()
            until(lambda: len(stored(es, store, filled)[0]) == 20)
    finally:
        proxy.close()
        client.close()
    assert sorted(query["query_id"] for query in stored(es, store, filled)[0]) == sorted(ids)


def test_without_elasticsearch_feedback_waits_for_it(filled, store, es, tmp_path):
    """The server is begun while there is no Elasticsearch: events are taken, and shipped when there is one."""
    gone = [True]

    def there():
        if gone[0]:
            raise ElasticsearchUnavailableError("No Elasticsearch is running.")
        return store

    recorder = Recorder(Spool(tmp_path / "f", limit=10**6), Wording("plain", tmp_path), there, every_s=0.01)
    recorder.start()
    query_id = uuid.uuid4().hex
    recorder.acted(query_id, "a-0", "up")
    time.sleep(0.05)
    gone[0] = False
    found = {"term": {"query_id": query_id}}

    def arrived():
        es[0].indices.refresh(index="bothways-feedback-*.*")
        return es[0].count(index="bothways-feedback-*.*", query=found)["count"]

    until(lambda: arrived() == 1)
    recorder.close()
    es[0].delete_by_query(index="bothways-feedback-*.*", query=found, refresh=True)


def serve(es_url, cache_dir, log):
    port = free_port()
    words = [sys.executable, "-m", "tests.feedback_server", str(port), es_url, str(cache_dir)]
    process = subprocess.Popen(words, stderr=log, stdout=log)
    url = f"http://127.0.0.1:{port}"

    def is_up():
        assert process.poll() is None, "the server ended"
        try:
            return httpx.get(f"{url}/health/ready").status_code == 200
        except httpx.HTTPError:
            return False

    until(is_up, within_s=60)
    return process, url


def test_a_server_that_is_killed_in_the_middle_loses_nothing_that_it_acknowledged(filled, store, es, es_url, tmp_path):
    cache, acknowledged, ending = tmp_path / "cache", [], threading.Event()

    def use(url):
        with httpx.Client(base_url=url, timeout=30) as http:
            while not ending.is_set():
                try:
                    body = ask(http, filled)
                    acknowledged.append((body["query_id"], None))
                    chunk = body["hits"][0]["chunk_id"]
                    if send(http, body["query_id"], chunk).status_code == 202:
                        acknowledged.append((body["query_id"], chunk))
                except httpx.HTTPError:
                    return

    with (tmp_path / "log").open("w") as log:
        process, url = serve(es_url, cache, log)
        users = [threading.Thread(target=use, args=(url,)) for _ in range(3)]
        for user in users:
            user.start()
        # In the middle: some is in Elasticsearch already, some is on disk.
        until(lambda: len(stored(es, store, filled)[0]) >= 20, within_s=60)
        process.kill()
        process.wait()
        ending.set()
        for user in users:
            user.join()
        left = list((cache / "feedback").glob("*.jsonl"))
        with max(left).open("ab") as torn:
            torn.write(b'{"_id": "half a li')
        assert left
        process, url = serve(es_url, cache, log)
        until(lambda: not list((cache / "feedback").glob("*.jsonl")), within_s=60)
        metrics = httpx.get(f"{url}/metrics").text
        process.terminate()
        process.wait(30)
    assert 'bothways_feedback_rows_total{outcome="torn"} 1.0' in metrics
    queries, events = stored(es, store, filled)
    times = Counter((query["query_id"], None) for query in queries)
    times += Counter((event["query_id"], event["event_attributes"]["object"]["object_id"]) for event in events)
    assert len(acknowledged) > 40
    assert {one: times[one] for one in acknowledged} == dict.fromkeys(acknowledged, 1)
    assert set(times.values()) == {1}


def test_a_row_that_elasticsearch_refuses_is_kept_aside_and_the_others_go_on(own_store, es, tmp_path):
    spool = Spool(tmp_path, limit=10**6)
    recorder = Recorder(spool, Wording("none", tmp_path), lambda: own_store)
    spool.open()
    good = [Row(uuid.uuid4().hex, {"kind": "event", "timestamp": at(time.time())}) for _ in range(3)]
    bad = Row(uuid.uuid4().hex, {"kind": "event", "timestamp": f"{datetime.now(UTC):%Y-%m}-99"})
    for row in (good[0], bad, *good[1:]):
        assert spool.append(row)
    assert recorder.ship()
    es[0].indices.refresh(index=f"{own_store._prefix}-*")
    assert own_store.counts().events == 3
    assert spool.waiting() == []
    assert refused_in(tmp_path) == 1
    (path,) = tmp_path.glob("*.refused")
    kept = json.loads(path.read_text())
    assert kept["_id"] == bad.id
    assert "timestamp" in kept["reason"]
    spool.close()


def test_whole_months_are_removed_when_they_are_old(own_store, es):
    now = datetime(2027, 1, 15, 8, tzinfo=UTC).timestamp()
    days = {"2026.09": 20, "2026.10": 31, "2026.12": 1, "2027.01": 15}
    for month, day in days.items():
        when = f"{month.replace('.', '-')}-{day:02d}T12:00:00.000+00:00"
        assert own_store.write([Row(uuid.uuid4().hex, {"kind": "event", "timestamp": when})]) == []
    prefix = own_store._prefix
    es[0].indices.create(index=f"{prefix}-notes.txt")
    # 90 days before are the 17th of October: September ended before, October did not.
    assert own_store.remove_old(now=now, days=90) == [f"{prefix}-2026.09"]
    assert own_store.remove_old(now=now, days=90) == []
    assert own_store.remove_old(now=now, days=14) == [f"{prefix}-2026.10", f"{prefix}-2026.12"]
    assert set(es[0].indices.get(index=f"{prefix}-*").body) == {f"{prefix}-2027.01", f"{prefix}-notes.txt"}


def test_an_index_that_somebody_removed_is_made_anew_with_its_fields(own_store, es):
    row = Row(uuid.uuid4().hex, {"kind": "event", "timestamp": at(time.time()), "odd": {"a": 1}})
    own_store.write([row])
    (index,) = es[0].indices.get(index=f"{own_store._prefix}-*").body
    es[0].indices.delete(index=index)
    assert own_store.write([row]) == []
    properties = es[0].indices.get_mapping(index=index)[index]["mappings"]["properties"]
    assert properties["query_id"] == {"type": "keyword"}
    assert "odd" not in properties


def test_feedback_on_the_command_line(make_app, filled, run, es, tmp_path):
    with TestClient(make_app()) as http:
        body = ask(http, filled)
        send(http, body["query_id"], body["hits"][0]["chunk_id"], "up")
    es[0].indices.refresh(index="bothways-feedback-*.*")
    code, out, _ = run("feedback", "--collection", filled, "--json", BOTHWAYS_CACHE_DIR=str(tmp_path / "cache"))
    assert code == 0
    told = json.loads(out)
    assert (told["queries"], told["events"], told["actions"], told["waiting_bytes"]) == (1, 1, {"up": 1}, 0)
    assert {row["query_id"] for row in told["last"]} == {body["query_id"]}
    code, out, _ = run("feedback", "-c", filled)
    assert code == 0
    assert "1 searches, 1 events: 1 up" in out
    assert "请假提前几天" in out
    shutil.rmtree(tmp_path / "cache")


def test_a_collection_without_feedback(run):
    code, out, _ = run("feedback", "-c", f"none-{uuid.uuid4().hex}")
    assert (code, out.strip()) == (0, "0 searches, 0 events")


def test_before_the_first_search_there_is_nothing_and_no_error(own_store):
    assert list(own_store.stream("query", collection="law")) == []
    assert own_store.last(size=5) == []
    assert (own_store.counts().queries, own_store.counts().months) == (0, {})
    assert own_store.remove_old(now=time.time(), days=1) == []


def test_clocks_are_not_needed_to_agree(own_store, es):
    """An event whose search is of the month before finds it all the same."""
    clock = Clock()
    query_id = uuid.uuid4().hex
    own_store.write([Row(query_id, {"kind": "query", "query_id": query_id, "timestamp": at(clock.now)})])
    own_store.write([Row("e", {"kind": "event", "query_id": query_id, "timestamp": at(clock.now + 40 * 86_400)})])
    es[0].indices.refresh(index=f"{own_store._prefix}-*")
    assert [row["query_id"] for row in own_store.stream("event", since=at(clock.now))] == [query_id]
    assert len(own_store.counts().months) == 2
