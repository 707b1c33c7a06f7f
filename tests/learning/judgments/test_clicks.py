"""The join of searches and events, and what evidence adds up to."""

from __future__ import annotations

from dataclasses import asdict

from bothways.learning.judgments.clicks import Seen, Session, Tally, read_sessions
from bothways.learning.judgments.evidence import A_QUERY_AN_HOUR, gather


def search(query_id="q1", chunks="abcde", *, text="见死不救犯法吗？", kept="plain", copies=None, offset=0):
    hits = [{"chunk_id": f"{c}-0", "doc_id": c, "rank": n} for n, c in enumerate(chunks, offset + 1)]
    for hit in hits:
        if copies and hit["doc_id"] in copies:
            hit["copies"] = copies[hit["doc_id"]]
    row = {"query_id": query_id, "timestamp": "2027-01-15T08:30:00.000+00:00", "hits": hits,
           "query_attributes": {"text": kept}}  # fmt: skip
    return row if kept == "none" else row | {"user_query": text}


def event(chunk, action="click", query_id="q1"):
    return {"query_id": query_id, "action_name": action, "event_attributes": {"object": {"object_id": chunk}}}


def sessions_of(queries, events):
    tally = Tally()
    return list(read_sessions(queries, events, tally)), tally


def session(chunks="abcde", hour="2027-01-15T08", query="q", **actions):
    """A session: `c="click"` says what was done with the hit of that letter."""
    shown = tuple(Seen(chunk_id=f"{c}-0", doc_id=c, rank=n) for n, c in enumerate(chunks, 1))
    return Session(
        query=query,
        text=query,
        hour=hour,
        shown=shown,
        actions={f"{c}-0": frozenset(a.split()) for c, a in actions.items()},
    )


def test_events_find_their_search():
    found, tally = sessions_of([search("q1"), search("q2")], [event("c-0"), event("a-0", "up", "q2")])
    assert [(one.query, one.text, one.hour, dict(one.actions)) for one in found] == [
        ("见死不救犯法吗", "见死不救犯法吗？", "2027-01-15T08", {"c-0": {"click"}}),
        ("见死不救犯法吗", "见死不救犯法吗？", "2027-01-15T08", {"a-0": {"up"}}),
    ]
    assert found[0].shown[2] == Seen(chunk_id="c-0", doc_id="c", rank=3)
    assert (tally.searches, tally.events, tally.sessions) == (2, 2, 2)


def test_what_tells_nothing_is_counted_by_its_reason():
    queries = [search("q1"), search("silent"), search("mute", kept="none"), search("wild")]
    events = [
        event("c-0"), event("c-0"), event("c-0", "up"), event("never-0"), event("a-0", query_id="gone"),
        event("a-0", query_id="mute"), *(event(f"{c}-0", query_id="wild") for c in "abcd"),
    ]  # fmt: skip
    found, tally = sessions_of(queries, events)
    assert [dict(one.actions) for one in found] == [{"c-0": {"click", "up"}}]
    assert asdict(tally) == {
        "searches": 4, "events": 10, "searches_without_event": 1, "searches_without_text": 1,
        "searches_indiscriminate": 1, "events_of_other_searches": 1, "events_on_what_was_not_shown": 1,
        "events_twice": 1, "sessions": 1,
    }  # fmt: skip


def test_only_events_on_what_was_not_shown_are_no_reaction():
    found, tally = sessions_of([search()], [event("never-0")])
    assert (found, tally.searches_without_event) == ([], 1)


def test_a_copy_stands_for_its_hit():
    found, tally = sessions_of([search(copies={"b": ["x-0"]})], [event("x-0"), event("b-0")])
    assert dict(found[0].actions) == {"b-0": {"click"}}
    assert tally.events_twice == 1


def test_hashes_are_groups_without_words():
    found, _ = sessions_of([search(text="f00", kept="hashed")], [event("a-0")])
    assert (found[0].query, found[0].text) == ("f00", None)
    assert gather(found).texts == {"f00": {}}


def test_passed_over_is_what_stands_above_a_click_and_what_the_user_says():
    assert session(c="click").passed_over() == {"a-0", "b-0"}
    assert session(a="click").passed_over() == set()
    assert session(c="skip").passed_over() == {"c-0"}
    assert session(b="skip", d="click").passed_over() == {"a-0", "b-0", "c-0"}
    assert session(a="click down", c="up").passed_over() == {"a-0", "b-0"}
    assert session(a="down").passed_over() == {"a-0"}


def test_evidence_adds_up():
    ledger = gather([session(c="click"), session(c="click", hour="h2"), session(a="up", b="down", hour="h3")])
    a, b, c, d = (ledger.evidence["q", f"{letter}-0"] for letter in "abcd")
    assert (a.seen, a.clicked, a.passed_over, a.ups, a.searches) == ({1: 2}, {}, 2, 1, 3)
    assert (a.speaks_for, a.speaks_against) == (3, 2)
    assert (b.passed_over, b.downs, b.speaks_against, b.hours_against) == (2, 1, 5, {"2027-01-15T08", "h2", "h3"})
    assert (c.seen, c.clicked, c.speaks_for, c.hours_for) == ({3: 3}, {3: 2}, 2, {"2027-01-15T08", "h2"})
    assert (d.speaks_for, d.speaks_against) == (0, 0)


def test_being_passed_over_far_down_is_told_apart():
    ledger = gather([session("abcdefgh", h="click")])
    assert (ledger.evidence["q", "e-0"].passed_over, ledger.evidence["q", "e-0"].high) == (1, 1)
    assert (ledger.evidence["q", "f-0"].passed_over, ledger.evidence["q", "f-0"].high) == (1, 0)
    assert ledger.evidence["q", "f-0"].hours_against == set()


def test_one_question_in_one_hour_counts_so_often():
    sessions = [session(a="click") for _ in range(A_QUERY_AN_HOUR + 5)] + [session(a="click", hour="h2")]
    ledger = gather(sessions)
    assert ledger.too_many == 5
    assert ledger.evidence["q", "a-0"].speaks_for == A_QUERY_AN_HOUR + 1
