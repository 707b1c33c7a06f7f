"""Answers without an event loop of one's own."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bothways.core.errors import CollectionNotFoundError, LLMUnavailableError
from bothways.core.results import Hit, SearchResult
from bothways.search.answering.answer import Answerer, AnswerOptions
from bothways.search.answering.blocking import BlockingAnswerer
from bothways.search.answering.types import Ask, Delta, Done
from bothways.search.options import SearchOptions

ASK = Ask(query="年假几天", collection="hr", options=SearchOptions())


class OneHit:
    """Finds the same chunk for every question, in the collection `hr`."""

    def search(self, text, collection, options):
        if collection != "hr":
            raise CollectionNotFoundError("There is no such collection.")
        hits = [Hit(chunk_id="a-0", score=1.0, doc_id="a", position=0, title="年假", text="五天。", source="a.txt")]
        return SearchResult(
            query_id="0" * 32,
            query=text,
            strategy=options.strategy,
            collection=collection,
            index="i",
            hits=hits,
            legs={},
            timings_ms={"total": 1.0},
            total=1,
        )


class Chat:
    """Says its pieces; `endless` says the last one until it is stopped."""

    def __init__(self, *pieces, endless=False):
        self.pieces = pieces
        self.endless = endless
        self.ended = threading.Event()

    async def stream(self, prompt, *, timeout_s):
        try:
            for piece in self.pieces:
                yield piece
            while self.endless:
                await asyncio.sleep(0.001)
                yield self.pieces[-1]
        finally:
            self.ended.set()

    async def complete(self, prompt, *, timeout_s):
        if self.endless:
            raise LLMUnavailableError("It does not stop.")
        return "".join(self.pieces)


def blocking(chat):
    return BlockingAnswerer(Answerer(OneHit(), lambda: chat, AnswerOptions()))


def test_whole_and_in_pieces():
    with blocking(Chat("五天", "[1]", "[2]")) as answerer:
        answer = answerer.answer(ASK)
        assert (answer.text, answer.status, answer.removed) == ("五天[1]", "answered", 1)
        *deltas, done = answerer.stream(ASK)
    assert deltas == [Delta("五天"), Delta("[1]")]
    assert isinstance(done, Done)
    assert (done.answer.text, [citation.chunk_id for citation in done.answer.citations]) == ("五天[1]", ["a-0"])


def test_who_stops_reading_ends_the_model():
    chat = Chat("五天", endless=True)
    with blocking(chat) as answerer:
        events = answerer.stream(ASK)
        assert next(events) == Delta("五天")
        events.close()
        assert chat.ended.wait(10)
        assert answerer.answer(ASK).status == "failed"


def test_what_the_search_raises_is_raised_here():
    missing = Ask(query="年假几天", collection="no-such-thing", options=SearchOptions())
    with blocking(Chat("五天")) as answerer:
        with pytest.raises(CollectionNotFoundError):
            answerer.answer(missing)
        with pytest.raises(CollectionNotFoundError):
            list(answerer.stream(missing))


def test_outside_of_its_block_it_does_not_run():
    with pytest.raises(RuntimeError, match="with"):
        blocking(Chat("五天")).answer(ASK)
