"""What is written down, and how the recorder behaves while Elasticsearch is away."""

from __future__ import annotations

import hashlib
import hmac
import stat
import threading

import pytest

from bothways.core.errors import ElasticsearchUnavailableError, OverloadedError, SettingsError
from bothways.core.results import Copy, Hit, LegScore, SearchResult
from bothways.core.settings import load_settings
from bothways.learning.feedback.recorder import ROWS, Recorder, build_recorder
from bothways.learning.feedback.rows import event_row, query_row
from bothways.learning.feedback.spool import Spool
from bothways.learning.feedback.wording import Wording, normalised
from tests.fakes import Clock
from tests.waiting import until

QUERY_ID = "0" * 32


def result(query_id=QUERY_ID, *, offset=0, rewritten=None):
    hits = [
        Hit(
            chunk_id="a-0",
            score=0.9,
            doc_id="a",
            legs={"bm25": LegScore(rank=3, score=7.1), "text_sem": LegScore(rank=1, score=0.8)},
        ),
        Hit(chunk_id="b-0", score=0.5, doc_id="b", duplicates=(Copy(chunk_id="c-0", doc_id="c", title="", source=""),)),
    ]
    return SearchResult(
        query_id=query_id,
        query="路上有人晕倒我不救会怎样？",
        rewritten=rewritten,
        strategy="hybrid",
        collection="law",
        index="bothways-law-v3",
        hits=hits,
        legs={},
        timings_ms={"total": 12.5},
        degraded=["rerank"],
        offset=offset,
        total=69,
    )


class Store:
    """Takes rows, or raises what it is told to."""

    def __init__(self):
        self.rows = []
        self.trouble = None
        self.calls = 0
        self.swept = 0
        self.go = threading.Event()
        self.go.set()

    def write(self, rows):
        self.calls += 1
        assert self.go.wait(30)
        if self.trouble is not None:
            raise self.trouble
        self.rows += rows
        return []

    def remove_old(self, *, now, days):
        self.swept += 1
        return []


def recorder_of(tmp_path, store, **more):
    limit = more.pop("limit", 100_000)
    spool = Spool(tmp_path, limit=limit, dropped=ROWS.labels("dropped").inc)
    return Recorder(spool, Wording("plain", tmp_path), lambda: store, **{"every_s": 0.01, **more})


def outcome(name):
    return ROWS.labels(name)._value.get()


def test_a_search_is_written_down_by_ubis_names(tmp_path):
    row = query_row(result(offset=10), Wording("plain", tmp_path), filtered=True, now=1_800_000_000.25)
    assert row.id == QUERY_ID
    assert row.source == {
        "kind": "query",
        "application": "law",
        "query_id": QUERY_ID,
        "timestamp": "2027-01-15T08:00:00.250+00:00",
        "user_query": "路上有人晕倒我不救会怎样？",
        "indexes": ["bothways-law-v3"],
        "query_response_hit_ids": ["a-0", "b-0"],
        "query_attributes": {
            "text": "plain", "strategy": "hybrid", "timings_ms": {"total": 12.5}, "degraded": ["rerank"],
            "rewritten": False, "filtered": True, "offset": 10, "total": 69,
        },
        "hits": [
            {"chunk_id": "a-0", "doc_id": "a", "rank": 11, "score": 0.9, "legs": {"bm25": 3, "text_sem": 1}},
            {"chunk_id": "b-0", "doc_id": "b", "rank": 12, "score": 0.5, "legs": {}, "copies": ["c-0"]},
        ],
    }  # fmt: skip


def test_an_event_is_written_down_by_ubis_names():
    row = event_row(QUERY_ID, "a-0", "click", shown=("law", 3), asked="路上有人晕倒", now=1_800_000_000)
    assert row.source == {
        "kind": "event",
        "application": "law",
        "action_name": "click",
        "query_id": QUERY_ID,
        "timestamp": "2027-01-15T08:00:00.000+00:00",
        "user_query": "路上有人晕倒",
        "event_attributes": {
            "object": {"object_id": "a-0", "object_id_field": "chunk_id"},
            "position": {"ordinal": 3},
        },
    }
    unknown = event_row(QUERY_ID, "a-0", "click", shown=None, now=1_800_000_000)
    assert unknown.id != row.id
    assert "application" not in unknown.source
    assert "position" not in unknown.source["event_attributes"]


@pytest.mark.parametrize(
    ("typed", "same"),
    [
        ("  路上有人晕倒，\n我不救？！", "路上有人晕倒, 我不救"),
        ("ＡＢＣ Def", "abc def"),
        ("??", "??"),
        ("《民法典》", "民法典"),
    ],
)
def test_equal_questions_meet(typed, same):
    assert normalised(typed) == same
    assert normalised(same) == same


def test_hashes_of_equal_questions_meet_and_need_the_key(tmp_path):
    wording = Wording("hashed", tmp_path)
    key = (tmp_path / "query-text.key").read_bytes()
    expected = hmac.new(key, "年假没休完能折现吗".encode(), hashlib.sha256).hexdigest()
    assert wording.of("年假没休完能折现吗？") == wording.of(" 年假没休完能折现吗") == expected
    assert Wording("hashed", tmp_path).of("年假没休完能折现吗") == expected  # the key stays
    assert Wording("hashed", tmp_path / "other").of("年假没休完能折现吗") != expected
    assert stat.S_IMODE((tmp_path / "query-text.key").stat().st_mode) == 0o600
    assert len(key) == 32
    assert not list(tmp_path.glob("query-text.key.*"))


def test_without_text_nothing_of_it_is_kept(tmp_path):
    row = query_row(result(rewritten="假设的文档"), Wording("none", tmp_path), filtered=False, now=0)
    assert "user_query" not in row.source
    assert "晕倒" not in str(row.source)
    assert "假设" not in str(row.source)
    assert row.source["query_attributes"]["rewritten"] is True
    assert not list(tmp_path.iterdir())


def test_a_key_that_is_none(tmp_path):
    (tmp_path / "query-text.key").write_bytes(b"short")
    with pytest.raises(SettingsError, match="not a key of 32 bytes"):
        Wording("hashed", tmp_path)


def test_events_get_the_rank_of_what_was_shown(tmp_path):
    store = Store()
    recorder = recorder_of(tmp_path, store)
    recorder.start()
    recorder.searched(result(offset=10))
    recorder.acted(QUERY_ID, "b-0", "click")
    recorder.acted(QUERY_ID, "never shown", "click")
    recorder.close()
    search, click, other = (row.source for row in store.rows)
    assert search["kind"] == "query"
    assert (click["application"], click["event_attributes"]["position"]) == ("law", {"ordinal": 12})
    assert click["user_query"] == search["user_query"]
    assert "application" not in other
    assert "user_query" not in other


@pytest.mark.parametrize("kept", ["hashed", "none"])
def test_an_event_keeps_no_more_of_the_question_than_its_search(tmp_path, kept):
    store = Store()
    spool = Spool(tmp_path, limit=100_000, dropped=ROWS.labels("dropped").inc)
    recorder = Recorder(spool, Wording(kept, tmp_path), lambda: store, every_s=0.01)
    recorder.start()
    recorder.searched(result())
    recorder.acted(QUERY_ID, "a-0", "up")
    recorder.close()
    search, vote = (row.source for row in store.rows)
    assert search.get("user_query") == vote.get("user_query") != "路上有人晕倒我不救会怎样？"


def test_before_the_start_searches_are_not_recorded_and_do_not_fail(tmp_path):
    recorder = recorder_of(tmp_path / "never", Store())
    recorder.searched(result())
    recorder.close()
    assert not (tmp_path / "never").exists()


def test_it_can_be_started_again(tmp_path):
    store = Store()
    recorder = recorder_of(tmp_path, store)
    for number in range(2):
        recorder.start()
        recorder.searched(result(f"{number:032x}"))
        recorder.close()
    assert [row.id for row in store.rows] == [f"{number:032x}" for number in range(2)]


def test_a_folder_that_cannot_be_used_costs_no_search(tmp_path):
    (tmp_path / "file").write_text("x")
    recorder = recorder_of(tmp_path / "file", Store())
    recorder.start()
    recorder.searched(result())
    with pytest.raises(OverloadedError):
        recorder.acted(QUERY_ID, "a-0", "click")
    recorder.close()


def test_a_store_that_hangs_holds_nobody_up(tmp_path):
    """The searches' own thread never asks the store: it is in one call all the while, and nothing waits for it."""
    store = Store()
    recorder = recorder_of(tmp_path, store)
    recorder.start()
    store.go.clear()
    for number in range(50):
        recorder.searched(result(f"{number:032x}"))
    until(lambda: store.calls == 1)
    for number in range(50, 100):
        recorder.searched(result(f"{number:032x}"))
    assert store.calls == 1
    store.go.set()
    recorder.close(30)
    assert [row.id for row in store.rows] == [f"{number:032x}" for number in range(100)]
    assert not list(tmp_path.glob("*.jsonl"))


def test_rows_wait_while_there_is_no_elasticsearch(tmp_path):
    store = Store()
    store.trouble = ElasticsearchUnavailableError("gone")
    recorder = recorder_of(tmp_path, store)
    recorder.start()
    recorder.searched(result())
    until(lambda: store.calls >= 2)
    store.trouble = None
    until(lambda: store.rows)
    recorder.close()
    assert [row.id for row in store.rows] == [QUERY_ID]


def test_tries_become_rarer(tmp_path, monkeypatch):
    pauses = []
    store = Store()
    store.trouble = ElasticsearchUnavailableError("gone")
    recorder = recorder_of(tmp_path, store, every_s=1.0)

    class Ending(threading.Event):
        def wait(self, pause=None):
            pauses.append(pause)
            recorder.searched(result(f"{len(pauses):032x}"))
            return len(pauses) == 10

    recorder._ending = Ending()
    recorder.start()
    recorder._thread.join(30)
    assert pauses[1:] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    recorder.close()


def test_an_error_that_nobody_foresaw_does_not_end_the_shipping(tmp_path):
    store = Store()
    store.trouble = RuntimeError("odd")
    recorder = recorder_of(tmp_path, store)
    recorder.start()
    recorder.searched(result())
    until(lambda: store.calls >= 2)
    store.trouble = None
    recorder.close()
    assert len(store.rows) == 1


def test_what_cannot_be_shipped_at_the_end_is_there_at_the_next_start(tmp_path):
    store = Store()
    store.trouble = ElasticsearchUnavailableError("gone")
    recorder = recorder_of(tmp_path, store)
    recorder.start()
    recorder.searched(result())
    recorder.close()
    store.trouble = None
    again = recorder_of(tmp_path, store)
    again.start()
    until(lambda: store.rows)
    again.close()
    assert [row.id for row in store.rows] == [QUERY_ID]


def test_when_it_cannot_be_kept_the_sender_of_an_event_is_told_and_a_search_is_not(tmp_path):
    store = Store()
    store.trouble = ElasticsearchUnavailableError("gone")
    recorder = recorder_of(tmp_path, store, limit=10)
    before = outcome("dropped")
    recorder.start()
    recorder.searched(result())
    with pytest.raises(OverloadedError, match="Send it again"):
        recorder.acted(QUERY_ID, "a-0", "click")
    recorder.close()
    assert outcome("dropped") == before + 2


def test_old_months_are_looked_for_once_a_day(tmp_path):
    store, clock = Store(), Clock()
    recorder = recorder_of(tmp_path, store, clock=clock, every_s=60.0)
    recorder._spool.open()
    for _ in range(3):
        assert recorder.ship()
    assert store.swept == 1
    clock.now += 86_400
    assert recorder.ship()
    assert store.swept == 2


def test_the_settings_switch_it_off(tmp_path):
    assert build_recorder(load_settings(feedback=False, cache_dir=tmp_path), lambda: None) is None
    made = build_recorder(load_settings(feedback=True, feedback_spool_mb=1.5, cache_dir=tmp_path), lambda: None)
    assert made._spool.limit == 1_500_000
    assert made._spool.folder == tmp_path / "feedback"
