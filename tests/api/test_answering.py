"""Clients that leave or take nothing in; no Elasticsearch."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from fastapi import Request
from sse_starlette import ServerSentEvent
from structlog.testing import capture_logs

from bothways.api.answering import ABANDONED, AnswerAdmission, ClientLeft, Events, while_there
from bothways.api.http.admission import Admission
from bothways.api.http.ending import Ending
from bothways.core.errors import OverloadedError, QueryError
from bothways.core.settings import load_settings


def request(receive):
    app = SimpleNamespace(state=SimpleNamespace(ending=Ending()))
    return Request({"type": "http", "method": "POST", "path": "/", "headers": [], "app": app}, receive)


async def stay():
    await asyncio.Event().wait()


async def leave():
    await asyncio.sleep(0.01)
    return {"type": "http.disconnect"}


def test_work_for_a_client_that_stays():
    async def scene():
        async def work():
            return 7

        async def fails():
            raise QueryError("no")

        assert await while_there(request(stay), work()) == 7
        with pytest.raises(QueryError):
            await while_there(request(stay), fails())
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(scene()) == set()


def test_work_for_a_client_that_leaves_is_cancelled():
    ended = []

    async def work():
        try:
            await stay()
        finally:
            ended.append(True)

    async def scene():
        before = ABANDONED._value.get()
        with pytest.raises(ClientLeft):
            await while_there(request(leave), work())
        assert ABANDONED._value.get() == before + 1
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(scene()) == set()
    assert ended == [True]


def test_a_client_that_takes_nothing_in_is_taken_for_gone(monkeypatch):
    ended = []

    async def events():
        try:
            while True:
                yield ServerSentEvent("x")
        finally:
            ended.append(True)

    async def send(message):
        if message["type"] == "http.response.body":
            await stay()

    async def scene():
        monkeypatch.setattr("bothways.api.answering.SEND_TIMEOUT_S", 0.05)
        with capture_logs() as logs:
            await asyncio.wait_for(Events(events())({"type": "http", "method": "POST"}, stay, send), 10)
        assert [row["event"] for row in logs] == ["client_stuck"]

    asyncio.run(scene())
    assert ended == [True]


def test_answers_have_at_most_half_of_the_searches_turns_and_their_own_limit():
    async def scene():
        searches = Admission(at_once=4, waiting=0, wait_s=1)
        turns = AnswerAdmission(load_settings(search_concurrency=4, ask_concurrency=3, ask_queue=0), searches)
        go, inside, most = asyncio.Event(), 0, 0

        async def answer():
            nonlocal inside, most
            async with turns.answering(), turns.searching():
                inside += 1
                most = max(most, inside)
                await go.wait()
                inside -= 1

        answers = [asyncio.create_task(answer()) for _ in range(3)]
        await asyncio.sleep(0.01)
        with pytest.raises(OverloadedError, match="3 answers go on"):
            await answer()
        async with searches.turn(), searches.turn():  # two are free, whoever asks
            assert inside == 2
        go.set()
        await asyncio.gather(*answers)
        assert most == 2
        await answer()

    asyncio.run(scene())
