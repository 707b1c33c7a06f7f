"""Answers over HTTP: turns among many questions, the events of a stream, and what happens where a client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from http import HTTPStatus
from typing import TypeVar

import structlog
from fastapi import Request
from prometheus_client import Counter, Gauge, Histogram
from pydantic import BaseModel
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from bothways.api.http.admission import ANSWERS_REFUSED, Admission
from bothways.api.http.ending import GRACE_S, Ending
from bothways.api.problems import status_of
from bothways.core.errors import BothwaysError
from bothways.core.settings import Settings
from bothways.schemas import ask as shown
from bothways.schemas.server import Problem
from bothways.search.answering.answer import Answerer, Prepared
from bothways.search.answering.types import Answer, Delta

log = structlog.get_logger()

T = TypeVar("T")

ANSWERS = Counter("bothways_answers", "Questions answered, by how it went", ["status"])
ABANDONED = Counter("bothways_answers_abandoned", "Answers whose client left before the end")
RUNNING = Gauge("bothways_answers_running", "Questions that are being answered")
REMOVED = Counter("bothways_citations_removed", "Citations of the language model that named no passage")
FIRST_PIECE = Histogram(
    "bothways_answer_first_piece_seconds", "From asking the language model to the first words shown"
)
SECONDS = Histogram(
    "bothways_answer_seconds", "Time of the language model for an answer", buckets=(1, 2, 5, 10, 30, 60)
)

SEND_TIMEOUT_S = 30.0
"""A client that takes nothing in for so long is taken for gone."""

_ASKS_AMONG_SEARCHES = 2
"""Questions may use at most one in so many of the slots for searches, so that plain searches stay fast."""


class AnswerAdmission:
    """Who may ask and search: so many answers at once, and of the searches' turns no more than half for them."""

    def __init__(self, settings: Settings, searches: Admission) -> None:
        self._answers = Admission(
            at_once=settings.ask_concurrency,
            waiting=settings.ask_queue,
            wait_s=settings.llm_timeout_s,
            of="answers",
            setting="",
            refused=ANSWERS_REFUSED,
        )
        self._searches = searches
        self._share = asyncio.Semaphore(max(1, settings.search_concurrency // _ASKS_AMONG_SEARCHES))

    def answering(self) -> AbstractAsyncContextManager[None]:
        """Hold a turn for a whole answer; raises `OverloadedError`."""
        return self._answers.turn()

    @asynccontextmanager
    async def searching(self) -> AsyncIterator[None]:
        """Hold a turn for the search of an answer that has its turn."""
        async with self._share, self._searches.late_turn():
            yield


async def answering(request: Request) -> AsyncIterator[None]:
    """Hold a turn until the answer is sent: for routes that answer."""
    admission: AnswerAdmission = request.app.state.answer_admission
    async with admission.answering():
        with RUNNING.track_inprogress():
            yield


class ClientLeft(Exception):  # noqa: N818 – no error of ours, nor the client's
    """The client closed the connection before it had the answer."""


async def while_there(request: Request, work: Awaitable[T]) -> T:
    """Do what a client waits for; where it leaves, the work is cancelled and `ClientLeft` raised.

    Raises `ServerEndingError` where the server ends before.
    """
    ending: Ending = request.app.state.ending
    doing = asyncio.ensure_future(work)
    left = asyncio.ensure_future(_left(request))
    try:
        async with ending.within():
            await asyncio.wait({doing, left}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        ABANDONED.inc()
        raise ClientLeft
    finally:
        for task in (doing, left):
            task.cancel()
        await asyncio.gather(doing, left, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Events(EventSourceResponse):
    """Server-sent events, which end quietly where the client takes nothing in any more."""

    def __init__(self, events: AsyncGenerator[ServerSentEvent, None]) -> None:
        # Where the server ends, the events end by themselves (`Ending`), before they would be cut off here.
        super().__init__(events, sep="\n", send_timeout=SEND_TIMEOUT_S, shutdown_grace_period=GRACE_S + 2)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.info("client_stuck", after_s=SEND_TIMEOUT_S)


def streamed(answerer: Answerer, prepared: Prepared, shape: Callable[[Answer], BaseModel], ending: Ending) -> Events:
    """Return an answer as events: `delta` with `{"text"}`, then `done` with the whole, or `error` with a problem."""
    return Events(_events(answerer, prepared, shape, ending))


async def _events(
    answerer: Answerer, prepared: Prepared, shape: Callable[[Answer], BaseModel], ending: Ending
) -> AsyncGenerator[ServerSentEvent, None]:
    finished = False
    try:
        async with aclosing(answerer.stream(prepared)) as events:
            async for event in ending.pieces(events):
                if isinstance(event, Delta):
                    yield _event("delta", shown.Delta(text=event.text).model_dump_json())
                else:
                    count(event.answer)
                    finished = True
                    yield _event("done", shape(event.answer).model_dump_json())
    except BothwaysError as error:
        finished = True
        yield _event("error", _problem(status_of(error), str(error)))
    except Exception as error:
        finished = True
        log.exception("unforeseen_error", kind=type(error).__name__)
        yield _event("error", _problem(500, "Something failed that should not have; the server's log has it."))
    finally:
        if not finished:
            ABANDONED.inc()


def count(answer: Answer) -> None:
    """Note how an answer went, in figures and without a word of it."""
    ANSWERS.labels(answer.status).inc()
    REMOVED.inc(answer.removed)
    timings = answer.timings_ms
    if "answer" in timings:
        SECONDS.observe(timings["answer"] / 1000)
    if "first_piece" in timings:
        FIRST_PIECE.observe(timings["first_piece"] / 1000)
    log.info(
        "answered",
        status=answer.status,
        collection=answer.result.collection,
        passages=len(answer.passages),
        citations=len(answer.citations),
        removed_citations=answer.removed,
        degraded=list(answer.degraded),
        timings_ms=dict(timings),
    )


def _event(name: str, data: str) -> ServerSentEvent:
    return ServerSentEvent(data, event=name, sep="\n")


def _problem(status: int, detail: str) -> str:
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail).model_dump_json()
