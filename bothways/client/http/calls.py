"""Each thing that a server can be asked, as a request and the way to read its answer; nothing is sent here.

Both clients of `client.py` send these, so that they cannot differ.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from bothways.client.errors import ResponseError, problem_error
from bothways.schemas.ask import Answer, Delta, MessageDict
from bothways.schemas.collections import Collection
from bothways.schemas.documents import Document, DocumentRow, NewDocumentDict
from bothways.schemas.jobs import Job, JobList
from bothways.schemas.names import Action, JobState
from bothways.schemas.search import SearchResult
from bothways.schemas.server import Health

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

API = "/api/v1"

File = Path | str | tuple[str, IO[bytes] | bytes]
"""A path, or a file's name and its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request. `is_read`: it changes nothing and costs little, so that it may be sent again after an error.

    `read` is given the parsed JSON of the answer, None where there is none.
    """

    method: str
    path: str
    read: Callable[[Any], T]
    json: Any = None
    params: Mapping[str, Any] | None = None
    files: Sequence[File] = ()
    is_read: bool = False


def search(query: str, collection: str, options: Mapping[str, Any]) -> Call[SearchResult]:
    """Find the chunks that answer a question."""
    body = {"query": query, "collection": collection, **options}
    return Call(method="POST", path=f"{API}/search", read=_a(SearchResult), json=body, is_read=True)


def ask(
    query: str, collection: str, history: Iterable[MessageDict], options: Mapping[str, Any], *, stream: bool = False
) -> Call[Answer]:
    """Answer a question. It is not sent twice, since a language model's work is paid for."""
    body: dict[str, Any] = {"query": query, "collection": collection, "history": list(history), **options}
    if stream:
        body["stream"] = True
    return Call(method="POST", path=f"{API}/ask", read=_a(Answer), json=body)


def feedback(query_id: str, chunk_id: str, action: Action) -> Call[None]:
    """Record what a user did with a hit."""
    body = {"query_id": query_id, "chunk_id": chunk_id, "action": action}
    return Call(method="POST", path=f"{API}/feedback", read=_nothing, json=body)


def collections() -> Call[list[Collection]]:
    """List what there is."""
    return Call(method="GET", path=f"{API}/collections", read=_list_of(Collection), is_read=True)


def collection(name: str) -> Call[Collection]:
    """Return what a collection holds."""
    return Call(method="GET", path=_collection(name), read=_a(Collection), is_read=True)


def delete_collection(name: str) -> Call[None]:
    """Delete a collection with all its versions."""
    return Call(method="DELETE", path=_collection(name), read=_nothing)


def upload(name: str, files: Iterable[File]) -> Call[Job]:
    """Index files, in a job."""
    return Call(method="POST", path=f"{_collection(name)}/documents", read=_a(Job), files=tuple(files))


def upload_documents(name: str, documents: Iterable[NewDocumentDict]) -> Call[Job]:
    """Index documents, in a job."""
    body = {"documents": list(documents)}
    return Call(method="POST", path=f"{_collection(name)}/documents", read=_a(Job), json=body)


def documents(name: str, *, limit: int, after: str | None) -> Call[list[DocumentRow]]:
    """List documents, a page at a time."""
    params = {"limit": limit} | ({"after": after} if after else {})
    path = f"{_collection(name)}/documents"
    return Call(method="GET", path=path, read=_list_of(DocumentRow), params=params, is_read=True)


def document(name: str, doc_id: str) -> Call[Document]:
    """Return a document with its chunks."""
    return Call(method="GET", path=_document(name, doc_id), read=_a(Document), is_read=True)


def delete_document(name: str, doc_id: str) -> Call[None]:
    """Delete a document."""
    return Call(method="DELETE", path=_document(name, doc_id), read=_nothing)


def jobs(*, collection: str | None, state: JobState | None, limit: int, offset: int) -> Call[list[Job]]:
    """List jobs, newest first."""
    asked = {"collection": collection, "state": state, "limit": limit, "offset": offset}
    params = {name: value for name, value in asked.items() if value is not None}
    return Call(
        method="GET", path=f"{API}/jobs", read=lambda data: read(JobList, data).jobs, params=params, is_read=True
    )


def job(job_id: str) -> Call[Job]:
    """Return the state of a job."""
    return Call(method="GET", path=f"{API}/jobs/{_quoted(job_id)}", read=_a(Job), is_read=True)


def cancel_job(job_id: str) -> Call[Job]:
    """Cancel a job."""
    return Call(method="DELETE", path=f"{API}/jobs/{_quoted(job_id)}", read=_a(Job))


def health() -> Call[Health]:
    """Check that the server can answer a search; raises `UnavailableError` with the reason."""
    return Call(method="GET", path="/health/ready", read=_a(Health), is_read=True)


def opened(files: Sequence[File], stack: ExitStack) -> list[tuple[str, tuple[str, IO[bytes] | bytes]]]:
    """Return the files as parts of a form; `stack` closes those that are opened here."""
    parts = []
    for file in files:
        if isinstance(file, tuple):
            parts.append(("files", file))
        else:
            content = stack.enter_context(Path(file).open("rb"))  # noqa: SIM115 – the caller's stack closes it
            parts.append(("files", (Path(file).name, content)))
    return parts


def event(name: str, data: str) -> Delta | Answer | None:
    """Read one event of a streamed answer; None for one of a kind that is not known. Raises what `error` says."""
    try:
        content = json.loads(data)
    except ValueError as error:
        raise ResponseError(f"The server sent an event that is not JSON: {data[:80]!r}.") from error
    if name == "error":
        raise problem_error(int(content.get("status", 500)), content)
    if name == "delta":
        return read(Delta, content)
    return read(Answer, content) if name == "done" else None


def _collection(name: str) -> str:
    return f"{API}/collections/{_quoted(name)}"


def _document(name: str, doc_id: str) -> str:
    return f"{_collection(name)}/documents/{_quoted(doc_id)}"


def _quoted(name: str) -> str:
    """Return a name as one segment of a path; raises `ValueError` for "", "." and "..", which name another path."""
    if name in {"", ".", ".."}:
        raise ValueError(f"{name!r} is no name of anything.")
    return quote(name, safe="")


def _list_of(kind: type[M]) -> Callable[[Any], list[M]]:
    def read_all(data: Any) -> list[M]:  # noqa: ANN401 – JSON
        if not isinstance(data, list):
            raise ResponseError(f"The server's answer is no list of {kind.__name__}: is it a Bothways server?")
        return [read(kind, row) for row in data]

    return read_all


def _a(kind: type[M]) -> Callable[[Any], M]:
    return partial(read, kind)


def read(kind: type[M], data: Any) -> M:  # noqa: ANN401 – JSON
    """Return the model of parsed JSON; raises `ResponseError` if it does not fit."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ResponseError(
            f"The server's answer is no {kind.__name__} ({where}: {first['msg']}): is it a Bothways server of a like "
            "version?"
        ) from error


def _nothing(_: object) -> None:
    return None
