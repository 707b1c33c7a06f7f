"""A client for a Bothways server, with and without an event loop.

    from bothways.client import Client

    with Client("http://127.0.0.1:8000", api_key="…") as client:
        for hit in client.search("路上有人晕倒我不救会怎样？", "law", top_k=3).hits:
            print(hit.rank, hit.title, hit.text)

Nothing but httpx is behind it. Without an address and a key, those of BOTHWAYS_SERVER_URL and BOTHWAYS_SERVER_API_KEY
are taken. Every method raises `bothways.client.errors.BothwaysError`. http/sending.py says what is sent again.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from types import TracebackType
from typing import Any, TypeVar, Unpack

import httpx

from bothways.client.async_client import AsyncClient
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

__all__ = ["AsyncClient", "Client"]

T = TypeVar("T")


class Client:
    """Asks a server; safe for threads. `timeout_s` is how long the server may be silent, in seconds.

    `AsyncClient` has the same methods to await.
    """

    def __init__(
        self, url: str | None = None, *, api_key: str | None = None, timeout_s: float = sending.TIMEOUT_S
    ) -> None:
        self.url = sending.address(url)
        self._http = httpx.Client(
            base_url=self.url,
            headers=sending.headers(api_key),
            timeout=sending.timeouts(timeout_s),
            verify=sending.certificates(self.url),
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def search(self, query: str, collection: str, **options: Unpack[SearchKeywords]) -> SearchResult:
        """Find the chunks that answer a question, the best first."""
        return self._send(calls.search(query, collection, options))

    def ask(
        self, query: str, collection: str, *, history: Iterable[MessageDict] = (), **options: Unpack[SearchKeywords]
    ) -> Answer:
        """Answer a question from the passages that are found for it, with citations."""
        return self._send(calls.ask(query, collection, history, options))

    def ask_stream(
        self, query: str, collection: str, *, history: Iterable[MessageDict] = (), **options: Unpack[SearchKeywords]
    ) -> Generator[Delta | Answer, None, None]:
        """Yield the pieces of an answer as they are written, then the whole answer, which is checked.

        Closing the generator ends the work on the server.
        """
        call = calls.ask(query, collection, history, options, stream=True)
        reader = EventReader()
        with self._opened(call) as response:
            for line in response.iter_lines():
                if (event := reader.feed(line)) and (piece := calls.event(*event)):
                    yield piece
                    if isinstance(piece, Answer):
                        return
        raise sending.ended_early()

    def feedback(self, query_id: str, chunk_id: str, action: Action) -> None:
        """Record what a user did with a hit of a search."""
        self._send(calls.feedback(query_id, chunk_id, action))

    def collections(self) -> list[Collection]:
        """List the collections that the key may see."""
        return self._send(calls.collections())

    def collection(self, name: str) -> Collection:
        """Return what a collection holds and was built with."""
        return self._send(calls.collection(name))

    def delete_collection(self, name: str) -> None:
        """Delete a collection with all its versions."""
        self._send(calls.delete_collection(name))

    def upload(self, collection: str, *files: File) -> Job:
        """Add or replace files: paths, or a name with its content. See `wait`."""
        return self._send(calls.upload(collection, files))

    def upload_documents(self, collection: str, documents: Iterable[NewDocumentDict]) -> Job:
        """Add or replace documents. See `wait`."""
        return self._send(calls.upload_documents(collection, documents))

    def documents(self, collection: str, *, limit: int = 50, after: str | None = None) -> list[DocumentRow]:
        """List documents in the order of their ids; `after` is the last id of the page before."""
        return self._send(calls.documents(collection, limit=limit, after=after))

    def document(self, collection: str, doc_id: str) -> Document:
        """Return a document with its chunks and their questions."""
        return self._send(calls.document(collection, doc_id))

    def delete_document(self, collection: str, doc_id: str) -> None:
        """Delete a document; when this returns, no search finds anything of it."""
        self._send(calls.delete_document(collection, doc_id))

    def jobs(
        self, *, collection: str | None = None, state: JobState | None = None, limit: int = 20, offset: int = 0
    ) -> list[Job]:
        """List indexing jobs, newest first."""
        return self._send(calls.jobs(collection=collection, state=state, limit=limit, offset=offset))

    def job(self, job_id: str) -> Job:
        """Return the state of a job."""
        return self._send(calls.job(job_id))

    def cancel_job(self, job_id: str) -> Job:
        """Cancel a job; what it has indexed stays."""
        return self._send(calls.cancel_job(job_id))

    def wait(self, job_id: str, *, timeout_s: float = 600.0, poll_s: float = 0.5) -> Job:
        """Wait until a job has ended, well or not (`Job.state`, `Job.failures`); raises `TimedOutError`."""
        until = time.monotonic() + timeout_s
        while not (job := self.job(job_id)).has_ended:
            if time.monotonic() + poll_s > until:
                raise sending.unended(job, timeout_s)
            time.sleep(poll_s)
        return job

    def health(self) -> Health:
        """Check that the server can answer a search; raises `UnavailableError` with the reason."""
        return self._send(calls.health())

    def _send(self, call: Call[T]) -> T:
        with self._opened(call) as response:
            response.read()
            return sending.answer(call, response)

    @contextmanager
    def _opened(self, call: Call[Any]) -> Iterator[httpx.Response]:
        """Yield a successful response whose body is not read yet."""
        response = self._response(call)
        try:
            yield response
        except httpx.RequestError as error:
            raise sending.failure(error, self.url) from error
        finally:
            response.close()

    def _response(self, call: Call[Any]) -> httpx.Response:
        """Send a call, as often as is safe, until there is a good answer; raises for any other."""
        for attempt in itertools.count(1):
            try:
                response = self._once(call)
            except httpx.RequestError as error:
                wait = sending.wait_s(call, attempt, error)
                if wait is None:
                    raise sending.failure(error, self.url) from error
            else:
                if response.is_success:
                    return response
                wait = sending.wait_s(call, attempt, response)
                with closing(response):
                    if wait is None:
                        response.read()
                        raise sending.refusal(response)
            time.sleep(wait)
        raise AssertionError("it counts for ever")

    def _once(self, call: Call[Any]) -> httpx.Response:
        with ExitStack() as files:
            return self._http.send(self._http.build_request(**sending.arguments(call, files)), stream=True)
