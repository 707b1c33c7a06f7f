"""`/api/v1/collections/{collection}/documents`: uploaded, listed, shown and deleted."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tempfile
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from bothways.api.deps import KeyedRoute, SearcherDep, UploadsDep, for_readers
from bothways.api.http.bounds import CollectionPath, DocumentPath
from bothways.api.http.multipart import MAX_FILES, read_files
from bothways.api.problems import NUMBER_TOO_LONG
from bothways.api.routes.jobs import QUEUED
from bothways.core.collections.collection import require_alias
from bothways.core.errors import UsageError
from bothways.core.text.valid import valid_text
from bothways.indexer.documents import delete_document, get_document, list_documents
from bothways.indexer.uploads.spool import room_for
from bothways.schemas.documents import Document, DocumentRow, NewDocument, NewDocuments
from bothways.schemas.jobs import Job

router = APIRouter(tags=["documents"], route_class=KeyedRoute)


_PLAIN_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,80}")


def _documents_schema() -> dict[str, Any]:
    """Return the schema of the JSON form; what it refers to stands in it, since references begin at the description."""
    schema = NewDocuments.model_json_schema()
    schema["properties"]["documents"]["items"] = schema.pop("$defs")["NewDocument"]
    return schema


_TWO_FORMS = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "minItems": 1,
                            "maxItems": MAX_FILES,
                        }
                    },
                    "additionalProperties": False,
                }
            },
            "application/json": {"schema": _documents_schema()},
        },
    }
}


@router.post(
    "/collections/{collection}/documents",
    status_code=202,
    openapi_extra=_TWO_FORMS,
    responses=QUEUED,
    name="upload_documents",
)
async def upload(
    collection: CollectionPath,
    request: Request,
    response: Response,
    uploads: UploadsDep,
    searcher: SearcherDep,
    acl_field: Annotated[
        str, Query(max_length=200, description="metadata field of the access groups, for the whole collection")
    ] = "",
) -> Job:
    """Add or replace documents: files as multipart/form-data, or JSON. Nothing else of the collection is touched.

    A file replaces the one that was uploaded under its name, a JSON document the one of its id. They are indexed by a
    job, whose address is in `Location`; a collection that does not exist is created.
    """
    await run_in_threadpool(require_alias, searcher.client, collection)
    submit = partial(uploads.submit, acl_field=acl_field)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        with room_for(Path(tempfile.gettempdir())):
            form = await read_files(request)
        try:
            job = await run_in_threadpool(submit, collection, _files(form.multi_items()))
        finally:
            await form.close()
    elif kind == "application/json":
        documents = _documents(await request.body())
        job = await run_in_threadpool(submit, collection, documents)
    else:
        raise HTTPException(415, "Send files as multipart/form-data, or documents as application/json.")
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return Job.model_validate(job)


@router.get("/collections/{collection}/documents", name="list_documents")
@for_readers
def list_all(
    collection: CollectionPath,
    searcher: SearcherDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    after: Annotated[str | None, Query(description="the last id of the page before")] = None,
) -> list[DocumentRow]:
    """List documents in the order of their ids, a page at a time."""
    return [
        DocumentRow.model_validate(row) for row in list_documents(searcher.client, collection, size=limit, after=after)
    ]


@router.get("/collections/{collection}/documents/{doc_id:path}", name="get_document")
@for_readers
def get_one(collection: CollectionPath, doc_id: DocumentPath, searcher: SearcherDep) -> Document:
    """Return a document with its chunks and their questions, without vectors."""
    return Document.model_validate(get_document(searcher.client, collection, doc_id))


@router.delete("/collections/{collection}/documents/{doc_id:path}", status_code=204, name="delete_document")
def delete(collection: CollectionPath, doc_id: DocumentPath, searcher: SearcherDep) -> None:
    """Delete a document; when this returns, no search finds anything of it."""
    delete_document(searcher.client, collection, doc_id)


def _files(items: list[tuple[str, UploadFile | str]]) -> list[tuple[str, IO[bytes]]]:
    fields = [name for name, value in items if not isinstance(value, UploadFile)]
    if fields:
        raise UsageError(f"{fields[0][:80]!r} is not a file: an upload has files alone, each with a file name.")
    return [(value.filename or "", value.file) for _, value in items if isinstance(value, UploadFile)]


def _documents(body: bytes) -> list[tuple[str, IO[bytes]]]:
    try:
        parsed = NewDocuments.model_validate(json.loads(body))
    except json.JSONDecodeError as error:
        raise RequestValidationError(
            [{"type": "json_invalid", "loc": ("body", error.pos), "msg": error.msg}]
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise HTTPException(400, "The body is not JSON in UTF-8, or nested too deep.") from error
    except ValidationError as error:
        raise RequestValidationError([{**e, "loc": ("body", *e["loc"])} for e in error.errors()]) from error
    except ValueError as error:
        raise UsageError(NUMBER_TOO_LONG) from error
    return [(_file_name(new.id), io.BytesIO(_record(new).encode())) for new in parsed.documents]


def _file_name(doc_id: str) -> str:
    """Return the name of the file that a document is kept in, which is its source: the id, where that can be one."""
    if _PLAIN_ID.fullmatch(doc_id):
        return f"{doc_id}.json"
    digest = hashlib.sha1(valid_text(doc_id).encode(), usedforsecurity=False).hexdigest()
    return f"{re.sub('[^A-Za-z0-9_-]+', '-', doc_id)[:60].strip('-')}-{digest[:16]}.json".lstrip("-")


def _record(new: NewDocument) -> str:
    """Return the JSON that the reader of records takes."""
    return json.dumps({"_id": new.id, "title": new.title, "text": new.text, "metadata": new.metadata})
