"""The client for an event loop: blocking.py, with `await`. Both send the requests of http/calls.py."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import ExitStack, aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, TypeVar, Unpack

import httpx

from bothways.client.http import calls, sending
from bothways.client.http.calls import Call, File
from bothways.client.http.events import EventReader
from bothways.schemas.ask import Answer, Delta, MessageDict
from bothways.schemas.collections import Collection
from bothways.schemas.documents import Document, DocumentRow, NewDocumentDict
from bothways.schemas.jobs import Job
from bothways.schemas.names import Action, JobState
from bothways.schemas.options import SearchKeywords
from bothways.schemas.search import SearchResult
from bothways.schemas.server import Health

T = TypeVar("T")


class AsyncClient:
    """Asks a server, for one event loop. `timeout_s` is how long the server may be silent, in seconds."""

    def __init__(
        self, url: str | None = None, *, api_key: str | None = None, timeout_s: float = sending.TIMEOUT_S
    ) -> None:
        self.url = sending.address(url)
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers=sending.headers(api_key),
            timeout=sending.timeouts(timeout_s),
            verify=sending.certificates(self.url),
        )

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def search(self, query: str, collection: str, **options: Unpack[SearchKeywords]) -> SearchResult:
        """Find the chunks that answer a question, the best first."""
        return await self._send(calls.search(query, collection, options))

    async def ask(
        self, query: str, collection: str, *, history: Iterable[MessageDict] = (), **options: Unpack[SearchKeywords]
    ) -> Answer:
        """Answer a question from the passages that are found for it, with citations."""
        return await self._send(calls.ask(query, collection, history, options))

    async def ask_stream(
        self, query: str, collection: str, *, history: Iterable[MessageDict] = (), **options: Unpack[SearchKeywords]
    ) -> AsyncGenerator[Delta | Answer, None]:
        """Yield the pieces of an answer as they are written, then the whole answer, which is checked.

        Closing the generator ends the work on the server.
        """
        call = calls.ask(query, collection, history, options, stream=True)
        reader = EventReader()
        async with self._opened(call) as response:
            async for line in response.aiter_lines():
                if (event := reader.feed(line)) and (piece := calls.event(*event)):
                    yield piece
                    if isinstance(piece, Answer):
                        return
        raise sending.ended_early()

    async def feedback(self, query_id: str, chunk_id: str, action: Action) -> None:
        """Record what a user did with a hit of a search."""
        await self._send(calls.feedback(query_id, chunk_id, action))

    async def collections(self) -> list[Collection]:
        """List the collections that the key may see."""
        return await self._send(calls.collections())

    async def collection(self, name: str) -> Collection:
        """Return what a collection holds and was built with."""
        return await self._send(calls.collection(name))

    async def delete_collection(self, name: str) -> None:
        """Delete a collection with all its versions."""
        await self._send(calls.delete_collection(name))

    async def upload(self, collection: str, *files: File) -> Job:
        """Add or replace files: paths, or a name with its content. See `wait`."""
        return await self._send(calls.upload(collection, files))

    async def upload_documents(self, collection: str, documents: Iterable[NewDocumentDict]) -> Job:
        """Add or replace documents. See `wait`."""
        return await self._send(calls.upload_documents(collection, documents))

    async def documents(self, collection: str, *, limit: int = 50, after: str | None = None) -> list[DocumentRow]:
        """List documents in the order of their ids; `after` is the last id of the page before."""
        return await self._send(calls.documents(collection, limit=limit, after=after))

    async def document(self, collection: str, doc_id: str) -> Document:
        """Return a document with its chunks and their questions."""
        return await self._send(calls.document(collection, doc_id))

    async def delete_document(self, collection: str, doc_id: str) -> None:
        """Delete a document; when this returns, no search finds anything of it."""
        await self._send(calls.delete_document(collection, doc_id))

    async def jobs(
        self, *, collection: str | None = None, state: JobState | None = None, limit: int = 20, offset: int = 0
    ) -> list[Job]:
        """List indexing jobs, newest first."""
        return await self._send(calls.jobs(collection=collection, state=state, limit=limit, offset=offset))

    async def job(self, job_id: str) -> Job:
        """Return the state of a job."""
        return await self._send(calls.job(job_id))

    async def cancel_job(self, job_id: str) -> Job:
        """Cancel a job; what it has indexed stays."""
        return await self._send(calls.cancel_job(job_id))

    async def wait(self, job_id: str, *, timeout_s: float = 600.0, poll_s: float = 0.5) -> Job:
        """Wait until a job has ended, well or not (`Job.state`, `Job.failures`); raises `TimedOutError`."""
        until = time.monotonic() + timeout_s
        while not (job := await self.job(job_id)).has_ended:
            if time.monotonic() + poll_s > until:
                raise sending.unended(job, timeout_s)
            await asyncio.sleep(poll_s)
        return job

    async def health(self) -> Health:
        """Check that the server can answer a search; raises `UnavailableError` with the reason."""
        return await self._send(calls.health())

    async def _send(self, call: Call[T]) -> T:
        async with self._opened(call) as response:
            await response.aread()
            return sending.answer(call, response)

    @asynccontextmanager
    async def _opened(self, call: Call[Any]) -> AsyncIterator[httpx.Response]:
        """Yield a successful response whose body is not read yet."""
        response = await self._response(call)
        try:
            yield response
        except httpx.RequestError as error:
            raise sending.failure(error, self.url) from error
        finally:
            await response.aclose()

    async def _response(self, call: Call[Any]) -> httpx.Response:
        """Send a call, as often as is safe, until there is a good answer; raises for any other."""
        for attempt in itertools.count(1):
            try:
                response = await self._once(call)
            except httpx.RequestError as error:
                wait = sending.wait_s(call, attempt, error)
                if wait is None:
                    raise sending.failure(error, self.url) from error
            else:
                if response.is_success:
                    return response
                wait = sending.wait_s(call, attempt, response)
                async with aclosing(response):
                    if wait is None:
                        await response.aread()
                        raise sending.refusal(response)
            await asyncio.sleep(wait)
        raise AssertionError("it counts for ever")

    async def _once(self, call: Call[Any]) -> httpx.Response:
        with ExitStack() as files:
            return await self._http.send(self._http.build_request(**sending.arguments(call, files)), stream=True)
