"""Turns among many searches; no Elasticsearch."""

from __future__ import annotations

import asyncio
import time

import pytest

from bothways.api.http.admission import Admission
from bothways.core.errors import OverloadedError


def test_so_many_at_once_some_that_wait_and_the_rest_refused_at_once():
    async def scene():
        admission = Admission(at_once=2, waiting=3, wait_s=10)
        go, inside, most = asyncio.Event(), 0, 0

        async def search():
            nonlocal inside, most
            async with admission.turn():
                inside += 1
                most = max(most, inside)
                await go.wait()
                inside -= 1

        tasks = [asyncio.create_task(search()) for _ in range(5)]
        await asyncio.sleep(0.01)
        started = time.monotonic()
        with pytest.raises(OverloadedError, match="BOTHWAYS_SEARCH_CONCURRENCY") as caught:
            await search()
        assert time.monotonic() - started < 1
        assert caught.value.retry_after_s >= 1
        go.set()
        await asyncio.gather(*tasks)
        assert (most, inside) == (2, 0)
        await search()

    asyncio.run(scene())


def test_nobody_waits_longer_than_said_and_a_turn_that_fails_is_given_back():
    async def scene():
        admission = Admission(at_once=1, waiting=5, wait_s=0.05)
        with pytest.raises(ZeroDivisionError):
            async with admission.turn():
                raise ZeroDivisionError
        async with admission.turn():
            with pytest.raises(OverloadedError):
                async with admission.turn():
                    pytest.fail("there was no turn to have")
        async with admission.turn():
            pass

    asyncio.run(scene())


def test_without_a_queue_the_second_is_refused():
    async def scene():
        admission = Admission(at_once=1, waiting=0, wait_s=10)
        async with admission.turn():
            with pytest.raises(OverloadedError):
                async with admission.turn():
                    pytest.fail("there was no turn to have")

    asyncio.run(scene())


def test_who_goes_away_while_waiting_leaves_no_gap():
    async def scene():
        admission = Admission(at_once=1, waiting=1, wait_s=10)

        async def search():
            async with admission.turn():
                pass

        async with admission.turn():
            waiting = asyncio.create_task(search())
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            waiting = asyncio.create_task(search())
            await asyncio.sleep(0.01)
        await waiting
        await search()

    asyncio.run(scene())
