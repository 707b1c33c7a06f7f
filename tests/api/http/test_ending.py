"""Waits that the end of the server shortens; without a server."""

from __future__ import annotations

import asyncio

import pytest

from bothways.api.http import ending
from bothways.api.http.ending import Ending
from bothways.core.errors import ServerEndingError


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(ending, "GRACE_S", 0.05)


async def stay():
    await asyncio.Event().wait()


async def begin_soon(one):
    await asyncio.sleep(0.01)
    one.begin()


async def waits(one, seconds=None, work=stay):
    async with one.within(seconds):
        return await work()


def together(*works):
    async def scene():
        return await asyncio.gather(*works, return_exceptions=True)

    return asyncio.run(scene())


def test_a_wait_ends_with_the_server():
    one = Ending()
    *found, _ = together(waits(one), waits(one, 60), begin_soon(one))
    assert [type(error) for error in found] == [ServerEndingError] * 2
    assert found[0].retry_after_s == 5
    # And one that begins later has no more time than is left.
    assert type(together(waits(Ended(), 60))[0]) is ServerEndingError


async def take_all(pieces):
    async for piece in pieces:
        assert piece == 1


class Ended(Ending):
    def __init__(self):
        super().__init__()
        self._until = 0.0


def test_its_own_time_is_its_own_error():
    assert type(together(waits(Ending(), 0.01))[0]) is TimeoutError


def test_an_error_of_the_work_stays_what_it_is():
    one = Ending()

    async def late():
        await asyncio.sleep(0.03)
        raise TimeoutError("of its own")

    found, _ = together(waits(one, work=late), begin_soon(one))
    assert (type(found), str(found)) == (TimeoutError, "of its own")


def test_what_is_done_in_time_is_done():
    async def work():
        return 7

    one = Ending()
    assert together(waits(one, work=work), waits(one, 1, work=work)) == [7, 7]
    assert one._waits == set()


def test_pieces_come_until_the_server_ends():
    closed = []

    async def endless():
        try:
            while True:
                yield 1
                await asyncio.sleep(0.005)
        finally:
            closed.append(True)

    async def three():
        for number in range(3):
            yield number

    async def scene():
        one = Ending()
        assert [piece async for piece in one.pieces(three())] == [0, 1, 2]
        beginning = asyncio.create_task(begin_soon(one))
        pieces = one.pieces(endless())
        with pytest.raises(ServerEndingError):
            await take_all(pieces)
        await beginning

    asyncio.run(scene())
    assert closed == [True]
